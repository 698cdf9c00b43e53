//! Lines of an unpacked bill, with the digests of all its bytes.
//!
//! Beyond the first block, threads of their own read, unpack and hash while the caller parses. At most a few blocks are
//! held, and a line may have at most 1 MiB; what is longer is passed over and told.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use bstr::ByteSlice as _;

use super::container::{Member, Stop};
use super::refusal::Refusal;
use crate::crypto::{Hasher, Sha1Hasher};
use crate::fsio;
use crate::model::Digest;
use crate::source::Error;

/// Bytes of a line, at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks between the reading thread and the parser.
const BLOCKS_AHEAD: usize = 4;

/// Digests of the unpacked bytes.
pub(super) struct Digests {
    pub(super) sha256: Digest,
    /// Lower-case hex; `None` when it was not asked for.
    pub(super) sha1: Option<String>,
}

struct Hashers {
    sha256: Hasher,
    sha1: Option<Sha1Hasher>,
}

impl Hashers {
    fn finish(self) -> Digests {
        Digests { sha256: self.sha256.finish(), sha1: self.sha1.map(Sha1Hasher::finish_hex) }
    }
}

/// A block on its way to the parser and to whoever hashes it too.
type Block = Arc<Vec<u8>>;

/// Where further blocks come from.
enum Blocks {
    /// Nowhere: the first block was everything.
    Done(Hashers),
    /// From a thread that reads and hashes.
    Thread { blocks: Receiver<Result<Block, std::io::Error>>, hashing: JoinHandle<Hashers> },
}

/// Reads block after block on a thread of its own: each goes to the parser first and is hashed after. SHA-1, where it
/// is wanted, has a second thread, because both digests together take longer than parsing.
fn read_ahead(mut input: Box<dyn Read + Send>, mut hashers: Hashers) -> Blocks {
    let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
    let hashing = std::thread::spawn(move || {
        let second = hashers.sha1.take().map(|mut sha1| {
            let (sender, blocks) = sync_channel::<Block>(BLOCKS_AHEAD);
            let thread = std::thread::spawn(move || {
                blocks.iter().for_each(|block| sha1.update(&block));
                sha1
            });
            (sender, thread)
        });
        loop {
            let (bytes, stop) = block(input.as_mut());
            let is_last = bytes.len() < BLOCK_BYTES;
            let bytes = Arc::new(bytes);
            if let Some((sender, _)) = &second {
                // The thread ends only when this sender does.
                let _ = sender.send(Arc::clone(&bytes));
            }
            // A parser that has gone wants no more.
            let is_gone = sender.send(Ok(Arc::clone(&bytes))).is_err();
            hashers.sha256.update(&bytes);
            if let Some(error) = stop {
                let _ = sender.send(Err(error));
                break;
            }
            if is_last || is_gone {
                break;
            }
        }
        hashers.sha1 = second.and_then(|(sender, thread)| {
            drop(sender);
            thread.join().ok()
        });
        hashers
    });
    Blocks::Thread { blocks, hashing }
}

/// One line, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawLine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) end: LineEnd,
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    CrLf,
    Lf,
    /// The file ended first.
    None,
    /// The line was longer than is read; its bytes are empty.
    TooLong,
}

/// The lines of one bill.
pub(super) struct Lines {
    path: PathBuf,
    file: String,
    blocks: Blocks,
    buffer: Vec<u8>,
    at: usize,
    is_ended: bool,
    /// The archive ended before its content did.
    pub(super) is_cut_off: bool,
}

impl Lines {
    /// Opens a bill and reads its first block.
    pub(super) fn open(path: &Path, member: &Member, wants_sha1: bool) -> Result<Self, Error> {
        let mut input = member.open(path)?;
        let mut hashers = Hashers { sha256: Hasher::default(), sha1: wants_sha1.then(Sha1Hasher::default) };
        let (first, stop) = block(input.as_mut());
        hashers.sha256.update(&first);
        if let Some(sha1) = &mut hashers.sha1 {
            sha1.update(&first);
        }
        let is_ended = stop.is_some() || first.len() < BLOCK_BYTES;
        let mut lines = Self {
            path: path.to_owned(),
            file: member.file.clone(),
            blocks: if is_ended { Blocks::Done(hashers) } else { read_ahead(input, hashers) },
            buffer: first,
            at: 0,
            is_ended,
            is_cut_off: false,
        };
        match stop {
            Some(error) => lines.stop(error).map(|()| lines),
            None => Ok(lines),
        }
    }

    /// Name of the bill, for messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The first bytes that have not been taken yet; at the beginning, the start of the file.
    pub(super) fn peek(&self, length: usize) -> &[u8] {
        let rest = &self.buffer[self.at..];
        &rest[..rest.len().min(length)]
    }

    /// The refusal of this file.
    pub(super) fn refuse(&self, refusal: Refusal) -> Error {
        Error::Refused { file: self.file.clone(), refusal }
    }

    fn stop(&mut self, error: std::io::Error) -> Result<(), Error> {
        match Stop::of(&error) {
            Some(Stop::CutOff) => {
                self.is_cut_off = true;
                Ok(())
            }
            Some(Stop::Damaged) => Err(self.refuse(Refusal::Archive("it is damaged"))),
            Some(Stop::Bomb) => Err(self.refuse(Refusal::Archive("it unpacks to far more than a bill can hold"))),
            None => Err(fsio::Error::io("read", &self.path, error).into()),
        }
    }

    /// Appends another block; false at the end.
    fn more(&mut self) -> Result<bool, Error> {
        if self.is_ended {
            return Ok(false);
        }
        let Blocks::Thread { blocks, .. } = &self.blocks else { return Ok(false) };
        match blocks.recv() {
            Ok(Ok(block)) => {
                self.buffer.drain(..self.at);
                self.at = 0;
                self.buffer.extend_from_slice(&block);
                Ok(true)
            }
            Ok(Err(error)) => {
                self.is_ended = true;
                self.stop(error)?;
                Ok(false)
            }
            // The thread has sent everything.
            Err(_) => {
                self.is_ended = true;
                Ok(false)
            }
        }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawLine<'_>>, Error> {
        let mut searched = 0;
        loop {
            if let Some(found) = self.buffer[self.at + searched..].find_byte(b'\n') {
                let (start, stop) = (self.at, self.at + searched + found);
                self.at = stop + 1;
                if stop - start > LINE_BYTES_MAX {
                    return Ok(Some(RawLine { bytes: &[], end: LineEnd::TooLong }));
                }
                let line = &self.buffer[start..stop];
                return Ok(Some(match line.strip_suffix(b"\r") {
                    Some(bytes) => RawLine { bytes, end: LineEnd::CrLf },
                    None => RawLine { bytes: line, end: LineEnd::Lf },
                }));
            }
            searched = self.buffer.len() - self.at;
            if searched > LINE_BYTES_MAX {
                return self.pass_over();
            }
            if !self.more()? {
                let start = self.at;
                self.at = self.buffer.len();
                let bytes = &self.buffer[start..];
                return Ok((!bytes.is_empty()).then_some(RawLine { bytes, end: LineEnd::None }));
            }
        }
    }

    /// Drops the rest of a line that is too long.
    fn pass_over(&mut self) -> Result<Option<RawLine<'_>>, Error> {
        loop {
            self.at = self.buffer.len();
            let is_more = self.more()?;
            if let Some(found) = self.buffer[self.at..].find_byte(b'\n') {
                self.at += found + 1;
            } else if is_more {
                continue;
            }
            return Ok(Some(RawLine { bytes: &[], end: LineEnd::TooLong }));
        }
    }

    /// The digests of everything; reads what has not been read yet.
    pub(super) fn finish(mut self) -> Result<(Digests, bool), Error> {
        loop {
            self.at = self.buffer.len();
            if !self.more()? {
                break;
            }
        }
        let hashers = match self.blocks {
            Blocks::Done(hashers) => hashers,
            Blocks::Thread { blocks, hashing } => {
                drop(blocks);
                hashing.join().map_err(|_| {
                    fsio::Error::io("read", &self.path, std::io::Error::other("the reading thread stopped"))
                })?
            }
        };
        Ok((hashers.finish(), self.is_cut_off))
    }
}

/// A full block, or what is left and, if it was not the end, why no more comes.
fn block(input: &mut dyn Read) -> (Vec<u8>, Option<std::io::Error>) {
    let mut block = vec![0; BLOCK_BYTES];
    let mut filled = 0;
    let mut stop = None;
    while filled < BLOCK_BYTES {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                stop = Some(e);
                break;
            }
        }
    }
    block.truncate(filled);
    (block, stop)
}

/// Turns bytes into text: UTF-8, or GB18030 once the file has turned out to be that.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The file is not UTF-8.
    pub(super) is_gb18030: bool,
    decoded: String,
}

impl Text {
    /// Text of some bytes; `None` when they are none.
    pub(super) fn of<'a>(&'a mut self, bytes: &'a [u8]) -> Option<&'a str> {
        if !self.is_gb18030 {
            return std::str::from_utf8(bytes).ok();
        }
        self.decoded.clear();
        decode(bytes, &mut self.decoded).then_some(self.decoded.as_str())
    }

    /// Text of the first line that tells: tries UTF-8, then GB18030 for good.
    pub(super) fn settle<'a>(&'a mut self, bytes: &'a [u8]) -> Option<&'a str> {
        self.is_gb18030 = std::str::from_utf8(bytes).is_err();
        self.of(bytes)
    }
}

/// Appends GB18030 bytes as text; false when they are none.
pub(super) fn decode(bytes: &[u8], out: &mut String) -> bool {
    let mut decoder = encoding_rs::GB18030.new_decoder_without_bom_handling();
    let Some(room) = decoder.max_utf8_buffer_length_without_replacement(bytes.len()) else { return false };
    out.reserve(room);
    let (result, _) = decoder.decode_to_string_without_replacement(bytes, out, true);
    result == encoding_rs::DecoderResult::InputEmpty
}
