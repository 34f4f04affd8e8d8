//! How far the reading is, on stderr, for a person at a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::rc::Rc;

/// A line that is rewritten in place. Clones show the same line.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    shown: bool,
    total: Rc<Cell<u64>>,
    done: Rc<Cell<u64>>,
    /// The tenths of a percent that the line says.
    said: Rc<Cell<u64>>,
}

impl Progress {
    /// Shown if stderr is a terminal.
    pub(super) fn on_stderr() -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            ..Self::none()
        }
    }

    /// Never shown.
    pub(super) fn none() -> Self {
        Self {
            shown: false,
            total: Rc::default(),
            done: Rc::default(),
            said: Rc::new(Cell::new(u64::MAX)),
        }
    }

    /// The same, but not shown.
    pub(super) fn silent(&self) -> Self {
        Self {
            shown: false,
            ..self.clone()
        }
    }

    /// There will be so many bytes more.
    pub(super) fn expect(&self, bytes: u64) {
        self.total.set(self.total.get().saturating_add(bytes));
    }

    /// Counts what is read.
    pub(super) fn counting<R: Read>(&self, inner: R) -> Counting<R> {
        Counting {
            inner,
            done: Rc::clone(&self.done),
        }
    }

    /// Shows how far it is, if that has changed.
    pub(super) fn show(&self) {
        if !self.shown {
            return;
        }
        let (done, total) = (self.done.get(), self.total.get());
        let tenths = done
            .saturating_mul(1000)
            .checked_div(total)
            .unwrap_or(0)
            .min(1000);
        if self.said.replace(tenths) != tenths {
            let (percent, tenth) = (tenths.div_euclid(10), tenths.rem_euclid(10));
            let megabytes = done.div_euclid(1 << 20);
            let _ = write!(
                io::stderr(),
                "\rreading {percent:3}.{tenth} %, {megabytes} MiB "
            );
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A reader that counts.
pub(super) struct Counting<R> {
    inner: R,
    done: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let more = u64::try_from(read).unwrap_or(u64::MAX);
        self.done.set(self.done.get().saturating_add(more));
        Ok(read)
    }
}
