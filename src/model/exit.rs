//! Exit codes: one enum, one precedence.

/// How a run ended. The numbers are an interface (see `docs/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Complete; nothing at or above the threshold; everything verified.
    Success,
    /// Complete; findings at or above `--fail-on`.
    Findings,
    /// Usage, case, mapping, policy or waiver file invalid; nothing ran.
    Invalid,
    /// Nothing to evaluate.
    Nothing,
    /// Content is not what was signed, totals do not reconcile, or a pack differs from its lock.
    Integrity,
    /// Something could not be processed or evaluated.
    Incomplete,
    /// Signature, key, threshold or rollback.
    Trust,
    /// Unsupported version or limit exceeded: no statement either way.
    CannotJudge,
    /// A bug in this program.
    Internal,
    /// Disk full, permission denied, source unreachable.
    Io,
    /// Interrupted by the user.
    Interrupted,
}

impl Exit {
    /// All codes, in precedence order, the strongest first.
    pub const ALL: [Exit; 11] = [
        Exit::Interrupted,
        Exit::Internal,
        Exit::Io,
        Exit::Integrity,
        Exit::Trust,
        Exit::CannotJudge,
        Exit::Incomplete,
        Exit::Nothing,
        Exit::Invalid,
        Exit::Findings,
        Exit::Success,
    ];

    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Findings => 1,
            Self::Invalid => 2,
            Self::Nothing => 3,
            Self::Integrity => 4,
            Self::Incomplete => 5,
            Self::Trust => 6,
            Self::CannotJudge => 7,
            Self::Internal => 70,
            Self::Io => 74,
            Self::Interrupted => 130,
        }
    }

    /// The stronger of two results: 130, 70, 74, 4, 6, 7, 5, 3, 2, 1, 0.
    pub fn worst(self, other: Self) -> Self {
        let rank = |e: Self| Self::ALL.iter().position(|x| *x == e);
        if rank(self) <= rank(other) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and their order are what the documentation promises.
    #[test]
    fn codes_and_precedence() {
        let order: Vec<u8> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(order, [130, 70, 74, 4, 6, 7, 5, 3, 2, 1, 0]);
        for (i, a) in Exit::ALL.iter().enumerate() {
            for b in &Exit::ALL[i..] {
                assert_eq!(a.worst(*b), *a);
                assert_eq!(b.worst(*a), *a);
            }
        }
    }
}
