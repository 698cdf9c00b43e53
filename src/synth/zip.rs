//! Zip archives as the platforms write them: deflated members whose names are raw bytes (GBK, without a mark).

use std::io::Write as _;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

/// Version needed to extract: deflate.
const VERSION: u16 = 20;
const DEFLATE: u16 = 8;
/// 1980-01-01, the earliest day a zip can state; the same bytes every time.
const DATE: u16 = 33;

/// One file of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Bytes of its name.
    pub(super) name: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// An archive of members in the order given.
pub(super) fn archive(members: &[Member]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for Member { name, content } in members {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content)?;
        let packed = encoder.finish()?;
        let mut crc = Crc::new();
        crc.update(content);
        let at = size(out.len())?;
        let mut shared = Vec::new();
        for short in [VERSION, 0, DEFLATE, 0, DATE] {
            shared.extend_from_slice(&short.to_le_bytes());
        }
        for long in [crc.sum(), size(packed.len())?, size(content.len())?, size(name.len())?] {
            shared.extend_from_slice(&long.to_le_bytes());
        }
        // The length of the name takes two bytes; the two that follow say that there is nothing extra.
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&shared);
        out.extend_from_slice(name);
        out.extend_from_slice(&packed);
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&VERSION.to_le_bytes());
        directory.extend_from_slice(&shared);
        // No comment, first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name);
    }
    let (at, length) = (size(out.len())?, size(directory.len())?);
    let count = u16::try_from(members.len()).map_err(std::io::Error::other)?;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06");
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    Ok(out)
}

/// Some bytes as gzip, the same every time.
pub(super) fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    encoder.finish()
}

fn size(length: usize) -> std::io::Result<u32> {
    u32::try_from(length).map_err(std::io::Error::other)
}
