//! Misuse of the types is a compile error: the files of `tests/ui`, each with the errors that the
//! compiler must give. `SCRIM_BLESS=1` writes down what it gives now.
//!
//! The compiler is called directly, with the libraries that this very test was linked with. A tool
//! that builds a project for each file would compile the whole engine once more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// What the files may name.
const CRATES: [&str; 7] = [
    "datafusion",
    "scrim_identity",
    "scrim_ledger",
    "scrim_model",
    "scrim_policy",
    "scrim_engine",
    "serde_json",
];

/// The file that must compile.
const CONTROL: &str = "compiles";

#[test]
fn inv_01_inv_04_misuse_does_not_compile() {
    let compiler = Compiler::find();
    assert_eq!(compiler.errors(CONTROL), "", "the control must compile");
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() > 10, "{cases:?}");
    for case in cases {
        let found = compiler.errors(&case);
        let path = folder().join(format!("{case}.stderr"));
        if std::env::var_os("SCRIM_BLESS").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        // an empty expectation would bless code that compiles
        if found.is_empty() || found != expected {
            write!(
                wrong,
                "--- {case}\nexpected:\n{expected}\nfound:\n{found}\n"
            )
            .unwrap();
        }
    }
    assert_eq!(wrong, "");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

fn cases() -> Vec<String> {
    let mut cases: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|case| case != CONTROL)
        .collect();
    cases.sort();
    cases
}

/// The compiler with the libraries of this test.
struct Compiler {
    libraries: PathBuf,
    externs: BTreeMap<&'static str, PathBuf>,
    out: tempfile::TempDir,
}

impl Compiler {
    /// This test lies beside the libraries that it was linked with.
    fn find() -> Self {
        let this = std::env::current_exe().unwrap();
        let libraries = this.parent().unwrap().to_owned();
        let built = modified(&this);
        let engine = candidates(&libraries, "scrim_engine")
            .into_iter()
            .filter(|path| modified(path) <= built)
            .max_by_key(|path| modified(path))
            .expect("the engine's library");
        // the folder may hold several builds of a crate; a library names the ones it was built with
        let names = fs::read(&engine).unwrap();
        let externs = CRATES
            .into_iter()
            .map(|name| {
                let path = candidates(&libraries, name)
                    .into_iter()
                    .filter(|path| *path == engine || mentions(&names, suffix(path)))
                    .max_by_key(|path| modified(path))
                    .unwrap_or_else(|| panic!("no library of {name} fits {}", engine.display()));
                (name, path)
            })
            .collect();
        Self {
            libraries,
            externs,
            out: tempfile::tempdir().unwrap(),
        }
    }

    /// The compiler's errors on a file, a line each: place, code, message.
    fn errors(&self, case: &str) -> String {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command
            .current_dir(folder())
            .arg(format!("{case}.rs"))
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
            ])
            .args([
                "--error-format",
                "short",
                "--color",
                "never",
                "--allow",
                "warnings",
            ])
            .arg("--out-dir")
            .arg(self.out.path())
            .arg("-L")
            .arg(format!("dependency={}", self.libraries.display()));
        for (name, path) in &self.externs {
            command
                .arg("--extern")
                .arg(format!("{name}={}", path.display()));
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let errors: String = text
            .lines()
            .filter(|line| line.contains(": error"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(output.status.success(), errors.is_empty(), "{case}: {text}");
        errors
    }
}

fn candidates(folder: &Path, name: &str) -> Vec<PathBuf> {
    let start = format!("lib{name}-");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            file.starts_with(&start) && path.extension().is_some_and(|kind| kind == "rlib")
        })
        .collect()
}

/// `-0123456789abcdef` of `libscrim_engine-0123456789abcdef.rlib`.
fn suffix(path: &Path) -> &[u8] {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
    let (_, hash) = stem.rsplit_once('-').unwrap();
    hash.as_bytes()
}

fn mentions(library: &[u8], hash: &[u8]) -> bool {
    library.windows(hash.len()).any(|window| window == hash)
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|data| data.modified()).unwrap()
}
