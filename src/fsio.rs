//! Files: atomic and private writing, bounded reading, directory sync. Every error carries its path.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::hint::Hint;
use crate::model::{Exit, Lang};

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than the reader accepts.
    #[error("`{}` is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in force.
        limit_bytes: u64,
    },
    /// The file is not UTF-8 text.
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
    },
    /// The target exists and must not be replaced.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// Which file or folder.
        path: PathBuf,
    },
}

impl Error {
    /// Wraps a system error with what was tried on which path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

impl Hint for Error {
    fn hint(&self, lang: Lang) -> Option<String> {
        let text = match self {
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => {
                    lang.pick("请检查路径是否正确。", "Check the path.")
                }
                std::io::ErrorKind::PermissionDenied => lang.pick(
                    "请检查该位置的读写权限。",
                    "Check the permissions of that place.",
                ),
                std::io::ErrorKind::StorageFull => lang.pick(
                    "磁盘已满：请释放空间或换一个位置后重试；正式名称下没有半成品。",
                    "The disk is full: free some space or choose another place, then run again; nothing half-written stands under its final name.",
                ),
                std::io::ErrorKind::FileTooLarge | std::io::ErrorKind::QuotaExceeded => lang.pick(
                    "已超出配额或文件大小限制：请提高限制或换一个位置后重试；正式名称下没有半成品。",
                    "A quota or limit on file sizes is exceeded: raise it or choose another place, then run again; nothing half-written stands under its final name.",
                ),
                std::io::ErrorKind::ReadOnlyFilesystem => lang.pick(
                    "该位置只读：请换一个可写的位置。",
                    "That place is read-only: choose one that can be written.",
                ),
                std::io::ErrorKind::AlreadyExists
                | std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::IsADirectory => lang.pick(
                    "文件与文件夹混淆：请移走占用该名称的文件或文件夹。",
                    "A file stands where a folder is needed, or the other way round: move it away.",
                ),
                _ => lang.pick(
                    "系统拒绝了该操作：请按所示原因处理后重试。",
                    "The system refused; mend the cause shown and run again.",
                ),
            },
            Self::TooLarge { .. } => lang.pick(
                "请确认这是正确的文件；本程序不读取这么大的文件。",
                "Check that this is the right file; this program does not read one of that size.",
            ),
            Self::NotText { .. } => lang.pick("请另存为 UTF-8 编码。", "Save the file as UTF-8."),
            Self::Exists { .. } => lang.pick("请换一个位置，或先移走已有文件。", "Choose another place, or move the existing one away first."),
        };
        Some(text.to_owned())
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } => Exit::Io,
            Self::TooLarge { .. } => Exit::CannotJudge,
            Self::NotText { .. } | Self::Exists { .. } => Exit::Invalid,
        }
    }
}

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// [`Error::Io`], [`Error::TooLarge`].
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLarge { path: path.into(), limit_bytes });
    }
    Ok(bytes)
}

/// Reads a UTF-8 text file of at most `limit_bytes`.
///
/// # Errors
/// As [`read_bounded`], and [`Error::NotText`].
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, Error> {
    String::from_utf8(read_bounded(path, limit_bytes)?).map_err(|_| Error::NotText { path: path.into() })
}

/// Creates a folder and its parents.
///
/// # Errors
/// [`Error::Io`].
pub fn create_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))
}

/// Creates a folder that only its owner may enter; an existing one is narrowed to that.
///
/// # Errors
/// [`Error::Io`].
pub fn create_private_dir(path: &Path) -> Result<(), Error> {
    create_dir(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(|e| Error::io("protect", path, e))?;
    }
    Ok(())
}

/// Writes a file under a temporary name beside it, syncs it, then renames it into place.
///
/// # Errors
/// [`Error::Io`]; nothing is left under the final name.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let parent = parent_of(path);
    create_dir(parent)?;
    let mut temporary =
        tempfile::Builder::new().prefix(".sealport-").tempfile_in(parent).map_err(|e| Error::io("write", path, e))?;
    temporary.write_all(bytes).map_err(|e| Error::io("write", path, e))?;
    temporary.as_file().sync_all().map_err(|e| Error::io("sync", path, e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        temporary
            .as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))
            .map_err(|e| Error::io("protect", path, e))?;
    }
    temporary.persist(path).map_err(|e| Error::io("rename", path, e.error))?;
    sync_dir(parent)
}

/// Writes a file that must not exist yet and that only its owner may read (mode 0600).
///
/// # Errors
/// [`Error::Exists`], [`Error::Io`].
pub fn write_private_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
        _ => Error::io("create", path, e),
    })?;
    file.write_all(bytes).map_err(|e| Error::io("write", path, e))?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))?;
    sync_dir(parent_of(path))
}

/// Makes a rename or creation inside the folder durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    File::open(path).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync", path, e))?;
    Ok(())
}

/// Renames a finished folder or file into place and makes that durable.
///
/// # Errors
/// [`Error::Exists`] when the target exists, [`Error::Io`] otherwise.
pub fn rename_new(from: &Path, to: &Path) -> Result<(), Error> {
    if to.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: to.into() });
    }
    fs::rename(from, to).map_err(|e| Error::io("rename", to, e))?;
    sync_dir(parent_of(to))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}
