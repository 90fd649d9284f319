//! What a policy refuses, and what meets one.

use super::*;

fn replica(id: &str, cell: &str, role: ReplicaRole) -> ReplicaLocator {
    ReplicaLocator {
        replica_id: ReplicaId::new(id),
        domain: FailureDomain::cell("local", cell),
        role,
        health: ReplicaHealth::Healthy,
        epoch: FenceEpoch(1),
        content_generation: 1,
    }
}

fn set(cells: &[&str]) -> ReplicaSetLocator {
    let replicas =
        cells.iter().enumerate().map(|(at, cell)| replica(&format!("r{at}"), cell, ReplicaRole::Voter));
    ReplicaSetLocator::new(ResourceGeneration(1), replicas.collect())
}

fn policy(cells: &[&str]) -> ReplicaPolicy {
    let placement = cells
        .iter()
        .fold(PlacementPolicy::new(), |policy, cell| policy.allow(FailureDomain::cell("local", *cell)));
    ReplicaPolicy::new(placement)
}

#[test]
fn a_policy_that_its_set_can_not_meet_is_refused_with_the_reason() {
    use PolicyProblem as P;
    let three = set(&["a", "b", "c"]);
    let of = |policy: ReplicaPolicy, set: &ReplicaSetLocator| policy.problem(set);
    let all = || policy(&["a", "b", "c"]);
    assert_eq!(of(all().min_replicas(3).write_quorum(2).read_quorum(1), &three), None);
    assert_eq!(of(all().write_quorum(0), &three), Some(P::ZeroQuorum { what: "write_quorum" }));
    assert_eq!(of(all().read_quorum(0), &three), Some(P::ZeroQuorum { what: "read_quorum" }));
    let above = P::QuorumAboveReplicas { what: "write_quorum", quorum: 4, voters: 3 };
    assert_eq!(of(all().write_quorum(4), &three), Some(above));
    assert_eq!(of(all().min_replicas(4), &three), Some(P::TooFewReplicas { voters: 3, min_replicas: 4 }));
    let outside =
        P::DomainNotAllowed { replica: ReplicaId::new("r2"), domain: FailureDomain::cell("local", "c") };
    assert_eq!(of(policy(&["a", "b"]), &three), Some(outside));
    let spread =
        ReplicaPolicy::new(PlacementPolicy::new().allow(FailureDomain::cell("local", "a")).min_domains(2));
    assert_eq!(of(spread, &set(&["a", "a"])), Some(P::TooFewDomains { domains: 1, min_domains: 2 }));
    let many: Vec<_> = (0..=MAX_REPLICAS).map(|_| "a").collect();
    assert_eq!(of(all(), &set(&many)), Some(P::TooManyReplicas { replicas: 33, limit: 32 }));
}

#[test]
fn a_replica_counts_once_and_a_learner_does_not_count() {
    let twice = ReplicaSetLocator::new(
        ResourceGeneration(1),
        vec![replica("a", "a", ReplicaRole::Voter), replica("a", "a", ReplicaRole::Voter)],
    );
    let duplicate = PolicyProblem::DuplicateReplica { replica: ReplicaId::new("a") };
    assert_eq!(policy(&["a"]).problem(&twice), Some(duplicate));
    let with_learner = ReplicaSetLocator::new(
        ResourceGeneration(1),
        vec![replica("a", "a", ReplicaRole::Voter), replica("b", "a", ReplicaRole::Learner)],
    );
    let above = PolicyProblem::QuorumAboveReplicas { what: "write_quorum", quorum: 2, voters: 1 };
    assert_eq!(policy(&["a"]).write_quorum(2).problem(&with_learner), Some(above));
}

#[test]
fn a_save_needs_its_quorum_and_its_domains() {
    let placement = PlacementPolicy::new().allow(FailureDomain::region("p", "eu")).min_domains(2);
    let policy = ReplicaPolicy::new(placement).write_quorum(2);
    let (a, b) = (FailureDomain::zone("p", "eu", "a"), FailureDomain::zone("p", "eu", "b"));
    assert!(policy.is_met_by([&a, &b]));
    assert!(!policy.is_met_by([&a, &a]));
    assert!(!policy.is_met_by([&b]));
}

#[test]
fn a_region_holds_its_zones_and_no_others() {
    let policy = PlacementPolicy::new().allow(FailureDomain::region("aws", "eu-1"));
    assert!(policy.allows(&FailureDomain::zone("aws", "eu-1", "a")));
    assert!(policy.allows(&FailureDomain::region("aws", "eu-1")));
    assert!(!policy.allows(&FailureDomain::zone("aws", "eu-2", "a")));
    assert!(!policy.allows(&FailureDomain::zone("gcp", "eu-1", "a")));
    assert!(!policy.allows(&FailureDomain::cell("aws", "eu-1")));
    assert!(!PlacementPolicy::new().allows(&FailureDomain::cell("local", "a")));
}
