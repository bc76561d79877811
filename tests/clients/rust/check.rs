//! Checks that print a line each, and what they demand.

use std::error::Error;
use std::fmt::Debug;

use chroma::client::ChromaHttpClientError;

pub type Outcome = Result<(), Box<dyn Error>>;

#[derive(Default)]
pub struct Checks {
    pub passed: u32,
    pub failed: u32,
}

impl Checks {
    pub fn note(&mut self, what: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {what}");
            }
            Err(trouble) => {
                self.failed += 1;
                println!("FAILED  {what}: {trouble}");
            }
        }
    }
}

/// Runs a block that may wait, and notes its outcome.
#[macro_export]
macro_rules! check {
    ($checks:ident, $what:literal, $block:block) => {{
        let outcome: Outcome = async $block.await;
        $checks.note($what, outcome)
    }};
}

pub fn equal<A: Debug + PartialEq<B>, B: Debug>(given: A, wanted: B) -> Outcome {
    if given == wanted {
        return Ok(());
    }
    Err(format!("{given:?} is not {wanted:?}").into())
}

/// Demands an error reply with this status and a message that contains `part`.
pub fn refused<T>(reply: Result<T, ChromaHttpClientError>, status: u16, part: &str) -> Outcome {
    match reply {
        Err(ChromaHttpClientError::ApiError(message, code)) if code.as_u16() == status && message.contains(part) => {
            Ok(())
        }
        other => Err(format!("wanted status {status} with {part:?}, got {:?}", other.err()).into()),
    }
}
