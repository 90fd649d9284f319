//! A small checker after Wing and Gong (1993) and Lowe (2017): tries the orders of operations one after the other, and
//! remembers where it has been. Exponential, and so simple that one can see that it is right.

use std::collections::HashSet;

use grafos_sim::history::{Kind, Operation};

/// Whether some order explains the history of a checkpoint that stands at `version` with `payload`.
pub(crate) fn is_linearizable(version: u64, payload: u64, operations: &[Operation]) -> bool {
    assert!(operations.len() <= 16, "this would take for ever");
    search(operations, 0, (version, payload), &mut HashSet::new())
}

fn search(
    operations: &[Operation],
    done: u32,
    state: (u64, u64),
    been: &mut HashSet<(u32, (u64, u64))>,
) -> bool {
    let open = |at: &usize| done >> at & 1 == 0;
    // Operations whose outcome is not known need not take place.
    if (0..operations.len()).filter(open).all(|at| operations[at].ret.is_none()) {
        return true;
    }
    if !been.insert((done, state)) {
        return false;
    }
    // None can come before one that had returned when it was called.
    let first_return = (0..operations.len()).filter(open).filter_map(|at| operations[at].ret).min();
    (0..operations.len()).filter(open).any(|at| {
        let operation = &operations[at];
        let can_be_next = first_return.is_none_or(|first| operation.call <= first);
        let after = match operation.kind {
            Kind::Save { payload, version } if version == state.0 + 1 => Some((version, payload)),
            Kind::Read { version, payload } if version == state.0 && payload.is_none_or(|p| p == state.1) => {
                Some(state)
            }
            _ => None,
        };
        can_be_next && after.is_some_and(|after| search(operations, done | 1 << at, after, been))
    })
}
