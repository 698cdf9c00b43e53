//! A small reproducible generator (SplitMix64). For sample data only, never for keys or salts.

use crate::crypto;

/// One stream of numbers; every purpose has a stream of its own, so that a change in one leaves the others alone.
#[derive(Debug, Clone)]
pub(super) struct Prng(u64);

impl Prng {
    /// The stream of this seed and purpose.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        let digest = crypto::sha256(format!("sealport sample {seed} {purpose}").as_bytes());
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest.0[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to and without `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `from` up to and without `end`.
    pub(super) fn range(&mut self, from: i64, end: i64) -> i64 {
        from + self.below(end.saturating_sub(from).max(0) as u64) as i64
    }

    /// True in `n` of 1,000 cases.
    pub(super) fn permille(&mut self, n: u64) -> bool {
        self.below(1_000) < n
    }

    /// One of the items; the list must not be empty.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// An index drawn by weight.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut rest = self.below(weights.iter().sum());
        for (i, w) in weights.iter().enumerate() {
            if rest < *w {
                return i;
            }
            rest -= w;
        }
        0
    }

    /// Lower-case hex text of so many digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }
}
