//! What `ringback verify` and `ringback backup` print with `--json`.

use serde::Serialize;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyView {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// What was looked at: the path of the directory or backup.
    pub path: String,
    /// How much was looked at.
    pub checked: CheckedView,
    /// What is wrong: a hundred of it at most.
    pub findings: Vec<FindingView>,
    /// Findings that are left out above.
    pub more: u64,
    /// What could not be checked, and why.
    pub unchecked: Vec<String>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedView {
    /// Events of the log.
    pub events: u64,
    /// Tenants that have events.
    pub tenants: u64,
    /// Resources, deleted ones included.
    pub resources: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Events owed to a subscription.
    pub deliveries: u64,
}

/// One thing that is not as promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingView {
    /// `sequence`, `event`, `version`, `resource`, `conservation`, `orphan`, `storage`.
    pub check: &'static str,
    /// What it is about.
    pub object: String,
    /// What is wrong.
    pub what: String,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupView {
    /// The file.
    pub path: String,
    /// When it was made.
    pub at: String,
    /// The version that made it.
    pub made_by: String,
    /// The fingerprint of the key file that belongs to it.
    pub key_file: String,
    /// The last place of the log in it.
    pub last: u64,
    /// The life of the log that it was made in.
    pub epoch: u32,
}
