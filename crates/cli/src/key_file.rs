//! The key file: 32 bytes that seal all secrets. It lies outside the data, so that
//! neither a copy of the data nor a backup of it tells a secret.
//!
//! It is made only for an empty directory: data whose key file is missing is never
//! given a new one, because nothing sealed would open with it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ringback_ports::Entropy;
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

const PREFIX: &str = "ringback-key-1:";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error(
        "{} holds data, but its key file {} is missing. Every secret is sealed with it: put it back, or name it with --key-file. \
         A new one would open nothing.",
        data.display(),
        path.display()
    )]
    Missing { path: PathBuf, data: PathBuf },
    #[error("{} is not a key file: it should be one line that begins with `{PREFIX}`", .0.display())]
    Broken(PathBuf),
    #[error("{} can be read by others than its owner: run `chmod 600 {}`", .0.display(), .0.display())]
    Open(PathBuf),
    #[error("the key file {} can't be used: {why}", path.display())]
    Io { path: PathBuf, why: std::io::Error },
}

/// Reads the key file, or makes one when the data directory is empty.
pub(crate) fn open(path: &Path, data: &Path, entropy: &dyn Entropy) -> Result<[u8; 32], KeyFileError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            if holds_data(data) {
                return Err(KeyFileError::Missing { path: path.into(), data: data.into() });
            }
            make(path, entropy)
        }
        Err(why) => Err(KeyFileError::Io { path: path.into(), why }),
    }
}

/// Reads the key file of data that is there, and makes none.
pub(crate) fn existing(path: &Path, data: &Path) -> Result<[u8; 32], KeyFileError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Err(KeyFileError::Missing { path: path.into(), data: data.into() }),
        Err(why) => Err(KeyFileError::Io { path: path.into(), why }),
    }
}

fn read(path: &Path, file: File) -> Result<[u8; 32], KeyFileError> {
    let io = |why| KeyFileError::Io { path: path.into(), why };
    let mode = file.metadata().map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open(path.into()));
    }
    let mut text = String::new();
    file.take(1_024).read_to_string(&mut text).map_err(io)?;
    let key = text.trim().strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it).ok()).and_then(|it| it.try_into().ok());
    key.ok_or_else(|| KeyFileError::Broken(path.into()))
}

fn make(path: &Path, entropy: &dyn Entropy) -> Result<[u8; 32], KeyFileError> {
    let io = |why| KeyFileError::Io { path: path.into(), why };
    let mut key = [0; 32];
    entropy.fill(&mut key);
    if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    // It gets its name when it is whole, so that a crash leaves no half of it; and only if nobody else has that name.
    let mut unnamed = path.as_os_str().to_owned();
    unnamed.push(format!(".{}", std::process::id()));
    let unnamed = PathBuf::from(unnamed);
    let named = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unnamed)?;
        file.write_all(format!("{PREFIX}{}\n", STANDARD.encode(key)).as_bytes())?;
        // Data that is sealed with a key which a power loss took is lost: the key comes first.
        file.sync_all()?;
        std::fs::hard_link(&unnamed, path)
    };
    let named = named();
    let _ = std::fs::remove_file(&unnamed);
    named.map_err(io)?;
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        File::open(parent).and_then(|it| it.sync_all()).map_err(io)?;
    }
    Ok(key)
}

/// Whether a store was ever made here.
fn holds_data(data: &Path) -> bool {
    data.join("ringback.db").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::SystemEntropy;

    #[test]
    fn a_key_is_made_once_and_never_for_data_that_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, data) = (dir.path().join("d.key"), dir.path().join("d"));
        let first = open(&path, &data, &SystemEntropy).unwrap();
        assert_eq!(open(&path, &data, &SystemEntropy).unwrap(), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("ringback.db"), "x").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(open(&path, &data, &SystemEntropy), Err(KeyFileError::Missing { .. })));
        assert!(!path.exists(), "no new one is made silently");
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.key");
        for text in ["", "secret", "ringback-key-1:AAAA", "ringback-key-1:!"] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(open(&path, dir.path(), &SystemEntropy), Err(KeyFileError::Broken(_))), "{text:?}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(open(&path, dir.path(), &SystemEntropy), Err(KeyFileError::Open(_))));
    }
}
