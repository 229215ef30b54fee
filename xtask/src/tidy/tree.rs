//! The text of the tree: every file that people write, read once.

use anyhow::{Context, Result};
use std::path::Path;

/// Folders that hold what nobody wrote here.
const SKIPPED_FOLDERS: [&str; 8] =
    ["node_modules", "dist", "target", "test-results", "playwright-report", ".git", "corpus", ".svelte-kit"];
const EXTENSIONS: [&str; 7] = ["rs", "ts", "svelte", "css", "md", "toml", "lock"];

/// A file.
pub struct File {
    /// From the root, with `/` between the parts.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// The part behind the last dot.
    pub fn extension(&self) -> &str {
        self.path.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default()
    }

    /// The part behind the last slash.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the whole file is tests, by where it lies and what it is called.
    pub fn is_test(&self) -> bool {
        let in_test_folder = self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "e2e" | "visual"));
        in_test_folder || self.name() == "tests.rs" || self.path.contains(".test.") || self.path.contains(".spec.")
    }
}

/// All files, in order of their paths.
pub struct Tree {
    /// The files.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads a checkout.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files })
    }

    /// Files of these kinds below one of these folders (each with a `/` at its end).
    pub fn below<'a>(
        &'a self,
        folders: &'a [&'a str],
        extensions: &'a [&'a str],
    ) -> impl Iterator<Item = &'a File> + 'a {
        self.files.iter().filter(|file| {
            folders.iter().any(|folder| file.path.starts_with(folder)) && extensions.contains(&file.extension())
        })
    }

    /// One file.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A tree of made-up files, for tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() });
        Self { files: files.collect() }
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                read_folder(&entry.path(), &format!("{path}/"), files)?;
            }
            continue;
        }
        let is_ours = name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
        if is_ours {
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            files.push(File { path, text });
        }
    }
    Ok(())
}
