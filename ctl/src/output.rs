//! The way out: data on standard output, everything else on standard error, colours where they are wanted. A reader
//! that goes away (`| head -1`) ends hactl quietly.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};

use crate::args::ColorWhen;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::model::NodeStatus;

/// Why a command stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed; and what is known of the nodes by then.
    Failure(Box<Failure>, Vec<NodeStatus>),
    /// Nobody reads what it writes any more.
    PipeClosed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(Box::new(failure), Vec::new())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::PipeClosed;
        }
        let message = format!("cannot write to standard output: {error}");
        Failure::local(Exit::Internal, "IO", "WRITE_FAILED", message, "").into()
    }
}

/// Standard output and standard error.
pub(crate) struct Output {
    choice: ColorChoice,
    quiet: bool,
    verbose: u8,
}

impl Output {
    /// With the user's choice of colours and noise.
    pub(crate) fn new(color: ColorWhen, quiet: bool, verbose: u8) -> Self {
        let choice = match color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::AlwaysAnsi,
            ColorWhen::Never => ColorChoice::Never,
        };
        Output { choice, quiet, verbose }
    }

    /// How many characters a line of the terminal has; none when data does not go to a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(io::stdout())
            .map(|(width, _)| usize::from(width.0))
            .filter(|width| *width > 0)
    }

    /// Writes data, whole, with its colours if they are wanted.
    ///
    /// # Errors
    /// [`Stop::PipeClosed`] when nobody reads; a failure when it cannot be written otherwise.
    pub(crate) fn data(&self, text: &str) -> Result<(), Stop> {
        let mut buffer = Vec::with_capacity(text.len());
        let choice = match self.choice {
            ColorChoice::Auto => AutoStream::choice(&io::stdout()),
            choice => choice,
        };
        AutoStream::new(&mut buffer as &mut dyn Write, choice).write_all(text.as_bytes())?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&buffer)?;
        Ok(stdout.flush()?)
    }

    /// Writes octets as they are.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn octets(&self, octets: &[u8]) -> Result<(), Stop> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(octets)?;
        Ok(stdout.flush()?)
    }

    /// Says something that is neither data nor an error; not with --quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Says a detail; only with --verbose.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose > 0 {
            self.error(text);
        }
    }

    /// Says an error. Nothing can be done when standard error is closed.
    pub(crate) fn error(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr(), self.choice).lock();
        let _ = writeln!(stderr, "{text}");
    }

    /// Asks for more on the same line of standard error.
    pub(crate) fn prompt(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr(), self.choice).lock();
        let _ = write!(stderr, "{text}");
        let _ = stderr.flush();
    }
}
