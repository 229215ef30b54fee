//! Starting programs: with their output passed through and kept, within a time limit, or in the background until they
//! are stopped.

use anyhow::{Context, Result, anyhow, bail};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a program in the background gets to stop by itself before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// How often a waiting loop looks.
const POLL: Duration = Duration::from_millis(20);

/// What is left of a program that ran to its end.
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output and standard error, in the order in which they came.
    pub output: String,
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Starts a program in the given way; if that fails, the error names it.
pub fn start_error<T>(command: &mut Command, start: impl FnOnce(&mut Command) -> std::io::Result<T>) -> Result<T> {
    let typed = line(command);
    start(command).with_context(|| format!("`{typed}` does not start: is it installed?"))
}

/// Copies a stream to the terminal and into `kept`.
fn pass_through(
    mut stream: impl Read + Send + 'static,
    kept: &Arc<Mutex<Vec<u8>>>,
) -> std::thread::JoinHandle<std::io::Result<()>> {
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 8192];
        loop {
            let bytes = stream.read(&mut buffer)?;
            let Some(read) = buffer.get(..bytes).filter(|read| !read.is_empty()) else { return Ok(()) };
            let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            kept.extend_from_slice(read);
            std::io::stdout().write_all(read)?;
            std::io::stdout().flush()?;
        }
    })
}

/// Runs a program to its end. Its output goes through and is kept.
///
/// # Errors
/// The program does not start.
pub fn run_and_keep(command: &mut Command) -> Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start_error(command, Command::spawn)?;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let readers = [
        child.stdout.take().map(|stream| pass_through(stream, &kept)),
        child.stderr.take().map(|stream| pass_through(stream, &kept)),
    ];
    let status = child.wait()?;
    for reader in readers.into_iter().flatten() {
        reader.join().map_err(|_| anyhow!("the thread that reads a program's output panicked"))??;
    }
    let kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Finished { status, output: String::from_utf8_lossy(&kept).into_owned() })
}

/// Waits until `ready` gives something. `ready` is asked every few milliseconds.
///
/// # Errors
/// What `ready` fails with, or that the time is over.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if begin.elapsed() > limit {
            bail!("{what}: nothing for {} s", limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// A program that keeps running in a process group of its own, so that the terminal's Ctrl-C does not reach it before
/// we decide. Dropping it stops it.
pub struct Background {
    name: String,
    child: Child,
}

impl Background {
    /// Starts a program with its standard output in one file and its standard error in another.
    ///
    /// # Errors
    /// A file cannot be made, or the program does not start.
    pub fn start(name: &str, command: &mut Command, out: &Path, log: &Path) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(File::create(out)?).stderr(File::create(log)?).process_group(0);
        Ok(Self { name: name.to_owned(), child: start_error(command, Command::spawn)? })
    }

    /// How the program ended; nothing while it runs.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Makes sure that the program has not ended.
    ///
    /// # Errors
    /// It has.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})", self.name),
        }
    }

    /// Asks the program to stop (SIGTERM), waits a little, then kills its whole group.
    pub fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal_group("TERM");
        let ended = wait_for(&self.name, STOP_PATIENCE, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            println!("    {} did not stop when asked: killing it", self.name);
            self.signal_group("KILL");
        }
        // Nothing is left to do about a program that cannot be waited for.
        let _ = self.child.wait();
    }

    fn signal_group(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        // The shell's own `kill`: the program of that name is not on every machine.
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" -- \"$1\"", signal, &group]).status();
        if !sent.is_ok_and(|status| status.success()) {
            println!("    could not signal {} (process group {})", self.name, self.child.id());
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_both_streams_is_kept_with_the_status() {
        let finished = run_and_keep(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert!(finished.output.contains("out\n") && finished.output.contains("err\n"));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run_and_keep(&mut Command::new("no-such-program-here")).err().unwrap();
        assert!(error.to_string().contains("no-such-program-here"));
    }

    #[test]
    fn waiting_ends_with_what_was_waited_for() {
        let error = wait_for::<()>("the moon", Duration::ZERO, || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("the moon"));
    }

    #[test]
    fn stopping_ends_the_whole_group() {
        let out = std::env::temp_dir().join(format!("xtask-group-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut background = Background::start("sleeper", &mut command, &out, Path::new("/dev/null")).unwrap();
        let sleeper = wait_for("its id", Duration::from_secs(10), || {
            Ok(std::fs::read_to_string(&out)?.trim().parse::<u32>().ok())
        })
        .unwrap();
        background.stop();
        std::fs::remove_file(&out).unwrap();
        wait_for("the sleeper's end", Duration::from_secs(10), || {
            let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
        .unwrap();
    }
}
