//! What a delivered file holds: one bill, or several packed together.
//!
//! Plain text, gzip and zip are told apart by their first bytes, never by name. A zip is opened member by member; each
//! member is a bill of its own. Everything is unpacked as a stream, so memory does not grow with the file, and what
//! could run away is bounded: members of an archive, bytes unpacked per byte packed, archives inside archives.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::refusal::{self, Refusal};
use crate::fsio;
use crate::source::Error;
use crate::source::canonical_files::file_name;

/// Members of one archive, at most.
const MEMBERS_MAX: usize = 1_000;
/// Bytes unpacked per packed byte, at most; bills stay below 30.
const RATIO_MAX: u64 = 200;
/// Bytes that may be unpacked whatever the ratio.
const UNPACKED_FREE: u64 = 64 << 20;

/// One bill inside a delivered file.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// `bill.csv`, or `outer.zip!member`.
    pub(super) file: String,
    packing: Packing,
}

#[derive(Debug, Clone, Copy)]
enum Packing {
    Plain,
    Gzip { packed: u64 },
    Zip { start: u64, packed: u64, size: u64, crc: u32, is_deflated: bool },
}

/// Why unpacking stopped; travels inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// The packed bytes end before the content does.
    #[error("the archive is cut off")]
    CutOff,
    /// The packed bytes contradict themselves.
    #[error("the archive is damaged")]
    Damaged,
    /// Far more comes out than a bill can hold.
    #[error("the archive unpacks to far more than it holds")]
    Bomb,
}

impl Stop {
    /// The reason inside an error, if it is one of these.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|e| e.downcast_ref::<Self>()).copied()
    }
}

/// Lists the bills of a delivered file.
pub(super) fn members(path: &Path) -> Result<Vec<Member>, Error> {
    let io = |action| move |e| Error::from(fsio::Error::io(action, path, e));
    let mut file = File::open(path).map_err(io("open"))?;
    let packed = file.metadata().map_err(io("read"))?.len();
    let mut magic = [0; 4];
    let read = file.read(&mut magic).map_err(io("read"))?;
    let outer = file_name(path);
    match refusal::archive_of(&magic[..read]) {
        None => Ok(vec![Member { file: outer, packing: Packing::Plain }]),
        Some("gzip") => Ok(vec![Member { file: outer, packing: Packing::Gzip { packed } }]),
        Some(_) => zip_members(file, &outer),
    }
}

fn zip_members(file: File, outer: &str) -> Result<Vec<Member>, Error> {
    let refused = |refusal| Error::Refused { file: outer.to_owned(), refusal };
    let damaged = |_| refused(Refusal::Archive("it is damaged or cut off"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if archive.len() > MEMBERS_MAX {
        return Err(refused(Refusal::Archive("it has more than 1000 members")));
    }
    if archive.has_duplicate_names() {
        return Err(refused(Refusal::Archive("two of its members have the same name")));
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(damaged)?;
        let name = member_name(member.name_raw());
        if name == "[Content_Types].xml" {
            return Err(refused(Refusal::Workbook));
        }
        if member.is_dir() || name.ends_with('/') || name.starts_with("__MACOSX/") || name.ends_with(".DS_Store") {
            continue;
        }
        let is_deflated = match member.compression() {
            CompressionMethod::Deflated => true,
            CompressionMethod::Stored => false,
            _ => return Err(refused(Refusal::Archive("it uses a compression that is not read"))),
        };
        if member.encrypted() {
            return Err(refused(Refusal::Archive("it is encrypted")));
        }
        let start = member.data_start().ok_or_else(|| refused(Refusal::Archive("it is damaged or cut off")))?;
        members.push(Member {
            file: format!("{outer}!{name}"),
            packing: Packing::Zip {
                start,
                packed: member.compressed_size(),
                size: member.size(),
                crc: member.crc32(),
                is_deflated,
            },
        });
    }
    if members.is_empty() {
        return Err(refused(Refusal::Archive("it holds no file")));
    }
    // Their order in the archive varies; the names' does not.
    members.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(members)
}

/// Platforms write GBK names without saying so; a name that is valid UTF-8 is taken as that.
fn member_name(raw: &[u8]) -> String {
    let name = match std::str::from_utf8(raw) {
        Ok(name) => name.to_owned(),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(raw).0.into_owned(),
    };
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Member {
    /// The name inside the archive, or of the file itself.
    pub(super) fn name(&self) -> &str {
        self.file.rsplit(['!', '/']).next().unwrap_or(&self.file)
    }

    /// Whether the delivered file is an archive.
    pub(super) fn is_packed(&self) -> bool {
        !matches!(self.packing, Packing::Plain)
    }

    /// Opens the content as a stream of unpacked bytes. Errors of the packing carry a [`Stop`].
    pub(super) fn open(&self, path: &Path) -> Result<Box<dyn Read + Send>, Error> {
        let io = |action| move |e| Error::from(fsio::Error::io(action, path, e));
        let mut file = File::open(path).map_err(io("open"))?;
        Ok(match self.packing {
            Packing::Plain => Box::new(file),
            Packing::Gzip { packed } => {
                let inner = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
                Box::new(Unpacked { inner, limit: limit(packed), read: 0, check: None })
            }
            Packing::Zip { start, packed, size, crc, is_deflated } => {
                file.seek(SeekFrom::Start(start)).map_err(io("read"))?;
                let bytes = BufReader::with_capacity(1 << 18, file.take(packed));
                let check = Some(Check { crc: Crc::new(), expected: crc, size });
                if is_deflated {
                    let inner = DeflateDecoder::new(bytes);
                    Box::new(Unpacked { inner, limit: limit(packed), read: 0, check })
                } else {
                    Box::new(Unpacked { inner: bytes, limit: limit(packed), read: 0, check })
                }
            }
        })
    }
}

fn limit(packed: u64) -> u64 {
    packed.saturating_mul(RATIO_MAX).max(UNPACKED_FREE)
}

/// The checksum and length a zip states for a member.
struct Check {
    crc: Crc,
    expected: u32,
    size: u64,
}

/// Counts what comes out, checks it at the end and says why it stopped.
struct Unpacked<R> {
    inner: R,
    limit: u64,
    read: u64,
    check: Option<Check>,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            io::ErrorKind::UnexpectedEof => io::Error::other(Stop::CutOff),
            _ if e.raw_os_error().is_none() => io::Error::other(Stop::Damaged),
            _ => e,
        })?;
        self.read += n as u64;
        if self.read > self.limit {
            return Err(io::Error::other(Stop::Bomb));
        }
        if let Some(check) = &mut self.check {
            check.crc.update(&buffer[..n]);
            if n == 0 && !buffer.is_empty() && (check.crc.sum() != check.expected || self.read != check.size) {
                return Err(io::Error::other(Stop::Damaged));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in GBK and UTF-8; control characters never reach a message.
    #[test]
    fn names() {
        let (gbk, _, _) = encoding_rs::GBK.encode("示例_业务明细.csv");
        assert_eq!(member_name(&gbk), "示例_业务明细.csv");
        assert_eq!(member_name("示例.csv".as_bytes()), "示例.csv");
        assert_eq!(member_name(b"a\x1b[2Jb"), "a[2Jb");
    }
}
