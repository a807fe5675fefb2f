//! How a command ends: the exit codes that scripts rely on, and the sentence for people.

use ringback_client::ClientError;
use std::{io, process::ExitCode};

/// An exit code. The numbers are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Ok,
    /// 1: it failed, and none of the below says why.
    Failure,
    /// 2: the command line can't be understood.
    Usage,
    /// 3: 401 or 403.
    NotAuthorised,
    /// 4: 404.
    NotFound,
    /// 5: what was asked for is invalid, or in conflict with what is there.
    Invalid,
    /// 6: no server answers.
    Unreachable,
    /// 7: no answer, or not the awaited one, in time.
    TimedOut,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotAuthorised => 3,
            Self::NotFound => 4,
            Self::Invalid => 5,
            Self::Unreachable => 6,
            Self::TimedOut => 7,
        }
    }

    /// What a refusal with this HTTP status ends with.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::NotAuthorised,
            404 => Self::NotFound,
            408 | 504 => Self::TimedOut,
            // Nothing is wrong with the request: it came at a bad time.
            429 => Self::Failure,
            400..=499 => Self::Invalid,
            _ => Self::Failure,
        }
    }

    /// What an error of the client ends with.
    pub(crate) fn of_client(error: &ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } | ClientError::Interrupted { .. } => Self::Unreachable,
            ClientError::TimedOut { .. } => Self::TimedOut,
            ClientError::BadRequest(_) => Self::Usage,
            ClientError::TooLarge { .. } | ClientError::BadAnswer { .. } => Self::Failure,
            ClientError::Problem(it) => Self::of_status(it.status),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(it: Exit) -> Self {
        Self::from(it.code())
    }
}

/// Why a command ends early: a code for scripts, a sentence for people.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// The sentence; `None` when all has been said.
    pub(crate) message: Option<String>,
}

/// What a verb answers.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    /// Ends with `exit` and a sentence.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()) }
    }

    /// Ends with `exit`; everything has been printed already.
    pub(crate) const fn silent(exit: Exit) -> Self {
        Self { exit, message: None }
    }

    /// The command line can't be understood.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What was given is invalid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, message)
    }

    /// Standard output can't be written. Whoever closed the pipe has seen enough: `ringback tail | head` is no failure.
    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::silent(Exit::Ok)
        } else {
            Self::new(Exit::Failure, format!("standard output can't be written: {error}"))
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(Exit::of_client(&error), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn statuses_become_the_contracts_codes() {
        let table: &[(u8, &[u16])] = &[
            (3, &[401, 403]),
            (4, &[404]),
            (5, &[400, 405, 406, 409, 410, 412, 413, 414, 415, 422, 428, 431]),
            (7, &[408, 504]),
            (1, &[429, 500, 502, 503, 507]),
        ];
        for (code, statuses) in table {
            for status in *statuses {
                assert_eq!(Exit::of_status(*status).code(), *code, "{status}");
            }
        }
    }

    #[test]
    fn errors_of_the_client_become_the_contracts_codes() {
        let target = || "http://127.0.0.1:7464".to_owned();
        let table = [
            (6, ClientError::Unreachable { target: target(), reason: "refused".into() }),
            (6, ClientError::Interrupted { target: target(), reason: "reset".into() }),
            (7, ClientError::TimedOut { target: target(), after: Duration::from_secs(75) }),
            (2, ClientError::BadRequest("the key holds a character that a header can't".into())),
            (1, ClientError::TooLarge { target: target() }),
            (1, ClientError::BadAnswer { target: target(), reason: "no JSON".into() }),
        ];
        for (code, error) in table {
            let failure = Failure::from(error);
            assert_eq!(failure.exit.code(), code, "{failure:?}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(Failure::of_stdout(&io::ErrorKind::BrokenPipe.into()).exit, Exit::Ok);
        assert_eq!(Failure::of_stdout(&io::ErrorKind::StorageFull.into()).exit, Exit::Failure);
    }
}
