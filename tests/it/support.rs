//! The program as users run it: a case of their own, a cleared environment, no terminal, no network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use assert_cmd::Command;

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sealport");

/// Made once per test binary; every test works on a copy.
pub(crate) struct Samples {
    root: PathBuf,
}

impl Samples {
    fn make() -> Self {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_leftovers(parent);
        let root = parent.join(format!("samples-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let samples = Self { root };
        let run = |args: &[&str], code| {
            let run = run_in(&samples.root, args);
            assert_eq!(run.code, code, "{args:?}: {}", run.err);
        };
        run(&["synth", "--out", "new", "--orders", "1000", "--quiet"], 0);
        copy_tree(&samples.root.join("new"), &samples.root.join("sealed"));
        run(&["seal", "sealed", "--quiet"], 0);
        samples
    }
}

/// A static value is never dropped, so what an earlier run left goes when the next one starts.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let gone = |pid: &str| Path::new("/proc/self").exists() && !Path::new("/proc").join(pid).exists();
        if name.strip_prefix("samples-").is_some_and(gone) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(Samples::make);

/// What a run left behind on the terminal.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let run =
            Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
        for text in [&run.out, &run.err] {
            assert!(!text.contains("panicked at"), "{text}");
            assert!(!text.contains("RUST_BACKTRACE"), "{text}");
        }
        run
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("HOME", dir).env("TMPDIR", dir).current_dir(dir);
    command
}

pub(crate) fn run_in(dir: &Path, args: &[&str]) -> Run {
    Run::of(&command(dir).args(args).output().unwrap())
}

/// A folder with a copy of the sample case in `case`; everything goes when it is dropped.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// An empty place.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    /// A case that was never sealed.
    pub(crate) fn new_case() -> Self {
        let place = Self::empty();
        copy_tree(&SAMPLES.root.join("new"), &place.case());
        place
    }

    /// A case with one archive.
    pub(crate) fn sealed_case() -> Self {
        let place = Self::empty();
        copy_tree(&SAMPLES.root.join("sealed"), &place.case());
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn case(&self) -> PathBuf {
        self.dir.path().join("case")
    }

    /// Path of the first archive, relative to the place.
    pub(crate) fn archive(&self) -> String {
        format!("case/out/archives/{}", self.archives().first().expect("an archive"))
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run_in(self.path(), args)
    }

    /// Runs a shell command line; `$S` is the program.
    pub(crate) fn shell(&self, script: &str) -> Run {
        let mut shell = Command::new("/bin/bash");
        shell.env_clear().env("HOME", self.path()).env("TMPDIR", self.path()).env("S", PROGRAM);
        shell.env("PATH", "/usr/bin:/bin");
        Run::of(&shell.current_dir(self.path()).args(["-c", script]).output().unwrap())
    }

    /// Starts the program and does not wait.
    pub(crate) fn start(&self, args: &[&str]) -> std::process::Child {
        std::process::Command::new(PROGRAM)
            .env_clear()
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .current_dir(self.path())
            .args(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Changes a text file of the case.
    pub(crate) fn edit(&self, file: &str, edit: impl Fn(String) -> String) {
        let path = self.case().join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = edit(before.clone());
        assert_ne!(before, after, "{file} was not changed");
        fs::write(path, after).unwrap();
    }

    /// Adds lines to a text file of the case.
    pub(crate) fn append(&self, file: &str, lines: &str) {
        self.edit(file, |text| format!("{text}\n{lines}\n"));
    }

    /// Names in `out/archives`, without temporary ones.
    pub(crate) fn archives(&self) -> Vec<String> {
        names(&self.case().join("out/archives")).into_iter().filter(|n| !n.starts_with('.')).collect()
    }

    /// Names of temporary things anywhere below `out`.
    pub(crate) fn temporary(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.case().join("out"), &mut |path| {
            if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
                found.push(path.to_owned());
            }
        });
        found
    }

    /// Puts every file of the sample back where it was and keeps what the program wrote.
    pub(crate) fn mend(&self) {
        for name in ["out", "out/archives"] {
            if self.case().join(name).is_file() {
                fs::remove_file(self.case().join(name)).unwrap();
            }
        }
        let fresh = SAMPLES.root.join("new");
        for name in names(&fresh) {
            let target = self.case().join(&name);
            if fresh.join(&name).is_dir() {
                let _ = fs::remove_dir_all(&target);
                copy_tree(&fresh.join(&name), &target);
            } else {
                fs::copy(fresh.join(&name), target).unwrap();
            }
        }
    }

    /// The journal's chain holds; the commands it names, in order.
    pub(crate) fn journal(&self) -> Vec<String> {
        let out = self.case().join("out");
        assert_eq!(sealport::ops::journal::first_break(&out).unwrap(), None);
        let text = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let command = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            entry["command"].as_str().unwrap().to_owned()
        };
        text.lines().map(command).collect()
    }
}

pub(crate) fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

pub(crate) fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for name in names(dir) {
        let path = dir.join(name);
        visit(&path);
        if path.is_dir() && !path.is_symlink() {
            walk(&path, visit);
        }
    }
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for name in names(from) {
        let (a, b) = (from.join(&name), to.join(&name));
        if a.is_dir() {
            copy_tree(&a, &b);
        } else {
            fs::copy(a, b).unwrap();
        }
    }
}

/// Runs statements on a database of the case.
pub(crate) fn sql(file: &Path, statements: &str) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(statements).unwrap();
}

/// Whether a text has Chinese in it.
pub(crate) fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

/// Lines of a CSV file as maps from column name to cell.
pub(crate) fn csv(path: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|r| r.unwrap()).collect()
}

/// `0600` and the like.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
