//! Result codes of the verification steps, and the exit code each one ends the run with.

use crate::model::Exit;

macro_rules! codes {
    ($($variant:ident $text:literal $exit:ident $doc:literal,)*) => {
        /// Why a step failed, or what it warns about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $doc] $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Self::$variant,)*];

            /// The code as printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The exit code a failure with this code ends the run with.
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)* }
            }
        }
    };
}

codes! {
    NotRegular "E_NOT_REGULAR" Integrity "A link, device or other special file.",
    Name "E_NAME" Integrity "A name that is not allowed.",
    CaseCollision "E_CASE_COLLISION" Integrity "Two paths differ only in case.",
    BagitTxt "E_BAGIT_TXT" Integrity "`bagit.txt` is missing or not exact.",
    Fetch "E_FETCH" Integrity "`fetch.txt` exists.",
    Extra "E_EXTRA" Integrity "A file where none may be.",
    Limit "E_LIMIT" CannotJudge "A limit of the format is exceeded.",
    Envelope "E_ENVELOPE" Integrity "An envelope is malformed.",
    DupMember "E_DUP_MEMBER" Integrity "A JSON member occurs twice.",
    PayloadType "E_PAYLOAD_TYPE" Integrity "The payload is of another kind.",
    Base64 "E_BASE64" Integrity "Not strict base64.",
    PayloadMismatch "E_PAYLOAD_MISMATCH" Integrity "Envelopes carry different payloads.",
    NoStatement "E_NO_STATEMENT" Trust "There is no signed statement.",
    KeyId "E_KEYID" Trust "A key id does not belong to its key.",
    KeyWeak "E_KEY_WEAK" Trust "A key that must not be used.",
    Signature "E_SIGNATURE" Trust "A signature under a trusted key is wrong.",
    KeyExpired "E_KEY_EXPIRED" Trust "The key was not valid when it signed, as far as can be told.",
    KeyRevoked "E_KEY_REVOKED" Trust "The key is revoked.",
    Threshold "E_THRESHOLD" Trust "Too few trusted holders signed.",
    StatementType "E_STATEMENT_TYPE" Integrity "The statement is of another type.",
    Unsupported "E_UNSUPPORTED" CannotJudge "A format version or encoding this program does not know.",
    Critical "E_CRITICAL" CannotJudge "A member that must be understood is not.",
    Field "E_FIELD" Integrity "A member of the statement is wrong.",
    Subject "E_SUBJECT" Integrity "The statement is not about this folder.",
    TagManifest "E_TAGMANIFEST" Integrity "The tag manifest is not the signed one.",
    ManifestSyntax "E_MANIFEST_SYNTAX" Integrity "A manifest is malformed.",
    Path "E_PATH" Integrity "A manifest names a path that is not allowed.",
    DupPath "E_DUP_PATH" Integrity "A manifest names a path twice.",
    Digest "E_DIGEST" Integrity "A file is not the signed one.",
    FileSet "E_FILE_SET" Integrity "Files are missing or were added.",
    Oxum "E_OXUM" Integrity "Number or size of the payload files differ.",
    Sm3 "E_SM3" CannotJudge "SM3 manifests cannot be checked yet.",
    NoCheckpoint "E_NO_CHECKPOINT" Integrity "A checkpoint note is missing.",
    CheckpointMismatch "E_CHECKPOINT_MISMATCH" Integrity "A checkpoint note contradicts the statement.",
    CheckpointSignature "E_CHECKPOINT_SIGNATURE" Trust "A checkpoint note is not signed by a trusted key.",
    Rollback "E_ROLLBACK" Trust "An older archive than the newest known one.",
    Fork "E_FORK" Trust "Another archive of this number is known.",
    Gap "E_GAP" Trust "Archives between are missing.",
    Schema "E_SCHEMA" Integrity "Columns are not those of the schema document.",
    ParquetGap "E_PARQUET_GAP" Integrity "A file holds bytes that nothing points to.",
    Rows "E_ROWS" Integrity "The number of rows is not the signed one.",
    Leaf "E_LEAF" Integrity "A row has no canonical form.",
    Root "E_ROOT" Integrity "The rows are not the signed ones.",
    RowDuplicate "E_ROW_DUPLICATE" Integrity "A key that is claimed to be unique occurs twice.",
    RowOrder "E_ROW_ORDER" Integrity "Rows are not in the claimed order.",
    ParquetStats "E_PARQUET_STATS" Integrity "Statistics that queries rely on are false.",
    Renewal "E_RENEWAL" CannotJudge "Renewals cannot be checked yet.",
    Io "E_IO" Io "A file could not be read, or not twice with the same result.",
    Interrupted "E_INTERRUPTED" Interrupted "The user asked to stop.",
    Internal "E_INTERNAL" Internal "A bug in this program.",
    NoTime "W_NO_TIME" Success "No time-stamp: the date is the signer's word.",
    TimeUnchecked "W_TIME_NOT_CHECKED" Success "Time-stamps are there but cannot be checked yet.",
    NoAnchor "W_NO_ANCHOR" Success "Nothing known to compare the number with.",
}

/// A failed check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) detail: String,
}

pub(super) type Check<T> = Result<T, Failure>;

/// Shorthand for a failure.
pub(super) fn fail<T>(code: Code, detail: impl Into<String>) -> Check<T> {
    Err(Failure { code, detail: detail.into() })
}

impl From<crate::fsio::Error> for Failure {
    fn from(e: crate::fsio::Error) -> Self {
        use crate::fsio::Error;
        let code = if matches!(e, Error::TooLarge { .. }) { Code::Limit } else { Code::Io };
        Self { code, detail: e.to_string() }
    }
}

impl From<crate::progress::Interrupted> for Failure {
    fn from(e: crate::progress::Interrupted) -> Self {
        Self { code: Code::Interrupted, detail: e.to_string() }
    }
}
