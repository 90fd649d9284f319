//! [`Totals`]: how often things happened in the worlds that were run: a world in which nothing goes wrong proves nothing.

use std::fmt;
use std::ops::AddAssign;

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)*) => {
        /// How often things happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)* }

        impl AddAssign for Totals {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Totals {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14}  {}", self.$name, $label)?;)*
                Ok(())
            }
        }
    };
}

totals! {
    /// Events.
    steps: "steps",
    /// Virtual time.
    virtual_ms: "milliseconds of virtual time",
    /// Transactions that the engine made.
    commits: "commits",
    /// Versions.
    versions: "versions published",
    /// Commits whose answer was lost.
    unknown: "commits whose answer was lost",
    /// Commits that landed after their program had given them up.
    late_commits: "of them, commits that landed later",
    /// Operations that ended without an outcome.
    unknown_outcomes: "operations that ended unknown",
    /// Barriers.
    barriers: "barriers",
    /// Commits whose guards did not hold.
    conflicts: "conflicts",
    /// Writers that were turned away.
    fencings: "writers fenced",
    /// Epochs that were granted.
    takeovers: "takeovers",
    /// Reads that ended well.
    reads: "reads",
    /// Reads that found no good copy.
    unreadable: "reads that found no good copy",
    /// Copies that did not verify and were told from good ones.
    bad_copies: "bad copies found",
    /// Blobs that collectors removed.
    deletes: "blobs deleted",
    /// Copies made anew.
    repairs: "copies repaired",
    /// Replicas that came back empty.
    wipes: "replicas wiped",
    /// Bits that turned.
    flips: "bits flipped",
    /// Crashes of programs.
    crashes: "programs crashed",
    /// Programs that slept for long.
    pauses: "programs paused",
    /// Crashes of replicas.
    replica_crashes: "replicas crashed",
    /// Restores of the engine.
    restores: "engine restored from an old copy",
    /// Restores that a collector or a takeover has noticed.
    regressions: "regressions detected",
    /// Checkpoints, or effects, that moved to another replica set.
    set_changes: "replica sets changed",
    /// Programs that meant another replica set than the one in force.
    misplaced: "programs of another replica set refused",
    /// Steps that were completed.
    completed: "steps completed",
    /// Reservations of steps that another had begun.
    taken_over: "steps taken over",
    /// Reservations of steps that were done before.
    repeated: "repeated steps refused",
    /// Steps that were found published but not completed.
    reconciled: "steps reconciled by their mark",
    /// Records of steps that were forgotten.
    retired: "steps forgotten",
}
