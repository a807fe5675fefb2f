//! One process for one data directory.
//!
//! The lock is the kernel's and ends with the process, however that ends; the
//! number in the file is only for the message of whoever comes second.

use crate::OpenError;
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

/// Between two looks at a lock that somebody else has.
const POLL: Duration = Duration::from_millis(50);

/// Makes the directory if there is none (0700), and takes its lock.
///
/// # Errors
/// `Locked` when another process still has it after `wait`; `Directory` when it cannot be made or written.
pub(crate) fn take(dir: &Path, wait: Duration) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { dir: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock")).map_err(failed)?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if waited >= wait => {
                return Err(OpenError::Locked { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::WouldBlock) => {
                let nap = POLL.min(wait.saturating_sub(waited));
                std::thread::sleep(nap);
                waited += nap;
            }
        }
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path(), Duration::ZERO).unwrap();
        let refused = take(dir.path(), Duration::from_millis(1)).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert!(text.contains("--lock-wait"), "{text}");
        drop(first);
        take(dir.path(), Duration::ZERO).unwrap();
    }

    #[test]
    fn waiting_gets_it_when_the_first_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path(), Duration::ZERO).unwrap();
        let path = dir.path().to_owned();
        let second = std::thread::spawn(move || take(&path, Duration::from_secs(600)).is_ok());
        drop(first);
        assert!(second.join().unwrap());
    }
}
