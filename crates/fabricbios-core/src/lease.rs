//! Leases: their identity, the epoch that orders their holders, and the arithmetic of their deadlines.
//!
//! What a lease *is good for* lives in other crates; here is only who holds what until when.

mod deadline;
mod epoch;
mod id;
mod renewal;

pub use deadline::{LeaseTerm, LeaseTiming};
pub use epoch::{EpochExhausted, FenceEpoch, FenceGuard, Fenced, StaleEpochError};
pub use id::{LeaseId, ParseLeaseIdError};
pub use renewal::RenewalPolicy;
