//! [`Mutant`]: faults that are planted to see them caught. They live in the drivers of this package and in decorators
//! around the real intents, never in the code that is shipped.

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutant {
    /// Blobs that nothing names are removed once they are old.
    GarbageByAge,
    /// Blobs that nothing names are removed at once.
    GarbageUnnamed,
    /// A writer that lost the race publishes what it had uploaded for the version before.
    ReusedTag,
    /// Taking over gives out the epoch that is there.
    TakeOverWithoutBump,
    /// A lost answer and an unmoved record are taken for a commit that did not take place.
    NoBarrier,
    /// A lost answer and a moved record are taken for a commit that did not take place.
    NoRing,
    /// A lost answer is taken for a failure.
    TimeoutIsFailure,
    /// The register moves while the state is still under way.
    PublishBeforeQuorum,
    /// One copy is enough, though two were promised.
    QuorumOfOne,
    /// A step is completed whoever holds it.
    UnconditionalComplete,
    /// Completed steps are forgotten once they are old, without a mark.
    RetentionByAge,
    /// Readers take the first copy that they get.
    ReadingWithoutVerification,
    /// A fenced writer goes on with the epoch that it finds.
    FenceIgnored,
    /// Readers fall back to an older version when the current one can't be read.
    LoadFallsBack,
    /// Readers look at a copy of the register from a while ago.
    StaleReads,
    /// The collector does not look for blobs from the future.
    NoRegressionCheck,
    /// The collector reads the register before it lists the replicas.
    GcReadsFirst,
    /// A repair removes a copy before it makes it anew.
    RepairByDelete,
    /// A step whose state was published is done again when it was not completed.
    StepWithoutMark,
    /// A step is completed before its state is published.
    CompleteBeforeSave,
    /// Replicas acknowledge what a crash takes away.
    AckBeforeDurable,
    /// The register moves to another replica set before anything was copied there.
    RegisterBeforeCopies,
    /// The copies that the old set has count for the new one.
    QuorumOnOldSet,
    /// A writer of an old replica set goes on as if it were that of the register.
    OldSetWrites,
    /// After a change of the replica set, the register counts replicas in the order of the old one.
    AcknowledgedNotRemapped,
    /// A replica that joins is believed to have what it has a name of.
    CopiesUnverified,
    /// A worker of an old generation goes on completing steps.
    OldGenerationSettles,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::GarbageByAge,
        Self::GarbageUnnamed,
        Self::ReusedTag,
        Self::TakeOverWithoutBump,
        Self::NoBarrier,
        Self::NoRing,
        Self::TimeoutIsFailure,
        Self::PublishBeforeQuorum,
        Self::QuorumOfOne,
        Self::UnconditionalComplete,
        Self::RetentionByAge,
        Self::ReadingWithoutVerification,
        Self::FenceIgnored,
        Self::LoadFallsBack,
        Self::StaleReads,
        Self::NoRegressionCheck,
        Self::GcReadsFirst,
        Self::RepairByDelete,
        Self::StepWithoutMark,
        Self::CompleteBeforeSave,
        Self::AckBeforeDurable,
        Self::RegisterBeforeCopies,
        Self::QuorumOnOldSet,
        Self::OldSetWrites,
        Self::AcknowledgedNotRemapped,
        Self::CopiesUnverified,
        Self::OldGenerationSettles,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GarbageByAge => "garbage-by-age",
            Self::GarbageUnnamed => "garbage-unnamed",
            Self::ReusedTag => "reused-tag",
            Self::TakeOverWithoutBump => "takeover-without-bump",
            Self::NoBarrier => "no-barrier",
            Self::NoRing => "no-ring",
            Self::TimeoutIsFailure => "timeout-is-failure",
            Self::PublishBeforeQuorum => "publish-before-quorum",
            Self::QuorumOfOne => "quorum-of-one",
            Self::UnconditionalComplete => "unconditional-complete",
            Self::RetentionByAge => "retention-by-age",
            Self::ReadingWithoutVerification => "reading-without-verification",
            Self::FenceIgnored => "fence-ignored",
            Self::LoadFallsBack => "load-falls-back",
            Self::StaleReads => "stale-reads",
            Self::NoRegressionCheck => "no-regression-check",
            Self::GcReadsFirst => "gc-reads-first",
            Self::RepairByDelete => "repair-by-delete",
            Self::StepWithoutMark => "step-without-mark",
            Self::CompleteBeforeSave => "complete-before-save",
            Self::AckBeforeDurable => "ack-before-durable",
            Self::RegisterBeforeCopies => "register-before-copies",
            Self::QuorumOnOldSet => "quorum-on-old-set",
            Self::OldSetWrites => "old-set-writes",
            Self::AcknowledgedNotRemapped => "acknowledged-not-remapped",
            Self::CopiesUnverified => "copies-unverified",
            Self::OldGenerationSettles => "old-generation-settles",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}
