//! How many strangers are looked at at a time.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::host::framework::error::{Error, Result};

/// The most logins under way on a mount. Whoever comes later is turned away
/// before anything that was sent is looked at, so that a flood takes neither
/// memory nor the time of those who have a token.
pub const MAX_LOGINS: usize = 64;

/// The gate before `login`.
#[derive(Debug)]
pub struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(MAX_LOGINS))
    }
}

impl Gate {
    /// Lets one in, for as long as it holds what it gets.
    ///
    /// # Errors
    /// [`Error::Limited`] if there are too many.
    pub fn enter(&self) -> Result<SemaphorePermit<'_>> {
        self.0
            .try_acquire()
            .map_err(|_| Error::Limited("too many logins at a time; retry later".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_to_so_many_and_no_more() {
        let gate = Gate::default();
        let inside: Vec<_> = (0..MAX_LOGINS).map(|_| gate.enter().unwrap()).collect();
        assert!(matches!(gate.enter(), Err(Error::Limited(_))));
        drop(inside);
        assert!(gate.enter().is_ok());
    }
}
