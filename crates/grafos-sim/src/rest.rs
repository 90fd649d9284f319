//! How a world comes to rest: nothing goes wrong any more, what is under way arrives, and then everything must be as it was
//! promised: what is whole can be read, what is damaged can be repaired, what is dead is gone.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::actor::Actor;
use crate::state::Space;
use crate::watch::Violation;
use crate::world::World;

/// What happens before a world that never rests is given up.
const MOST_EVENTS: u64 = 200_000;

pub(crate) fn come_to_rest(world: &mut World) {
    if world.net.borrow().watch.violation.is_some() {
        return;
    }
    world.net.borrow_mut().is_calm = true;
    world.stop_all();
    // What is under way arrives.
    drain(world, || false);
    for replica in &mut world.net.borrow_mut().replicas {
        replica.is_down = false;
    }
    let actor = world.actor(usize::MAX);
    let found = Rc::new(Cell::new(None));
    let mut work = pin!(inspect(actor, Rc::clone(&found)));
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    while work.as_mut().poll(&mut context).is_pending() {
        events += 1;
        if events > MOST_EVENTS || !world.step() {
            found.set(Some("the inspection does not come to an end".to_owned()));
            break;
        }
    }
    if let Some(what) = found.take() {
        let mut net = world.net.borrow_mut();
        let step = net.watch.totals.steps;
        let violation = Violation { invariant: "at rest everything is as it was promised", what, step };
        net.watch.violation.get_or_insert(violation);
    }
}

fn drain(world: &mut World, is_enough: impl Fn() -> bool) {
    for _ in 0..MOST_EVENTS {
        if is_enough() || !world.step() {
            return;
        }
    }
}

async fn inspect(actor: Actor, found: Rc<Cell<Option<String>>>) {
    for space in Space::ALL {
        if let Err(what) = inspect_one(&actor, space).await {
            found.set(Some(what));
            return;
        }
    }
}

async fn inspect_one(actor: &Actor, space: Space) -> Result<(), String> {
    // Which replica set it is in; and again, since that may not be the one that it was said to be in.
    for _ in 0..2 {
        if actor.register(space).await.is_ok() {
            break;
        }
    }
    let members = actor.layout(space).members.clone();
    // A regression that nobody has noticed yet shows now, and a takeover ends it.
    if actor.collect(space).await {
        actor.take_over(space).await;
    }
    actor.repair(space).await;
    if actor.collect(space).await {
        return Err(format!("{space:?} is behind after a takeover"));
    }
    let Ok(Some(register)) = actor.register(space).await else { return Ok(()) };
    for saved in &register.history {
        let is_whole = saved.blobs.iter().all(|tag| good_copies(actor, &members, space, *tag) > 0);
        if !is_whole {
            continue;
        }
        if actor.load(space, saved).await.is_none() {
            return Err(format!("version {} of {space:?} is whole and can't be read", saved.version));
        }
        for tag in &saved.blobs {
            let copies = good_copies(actor, &members, space, *tag);
            if copies < members.len() {
                return Err(format!("{tag:?} of {space:?} has {copies} good copies after a repair"));
            }
        }
    }
    let named = |tag: &_| register.history.iter().any(|saved| saved.blobs.contains(tag));
    // Nobody looks at what lies on replicas outside the set.
    let listed: Vec<_> = actor.with(|net| {
        let replicas = members.iter().filter_map(|place| net.replicas.get(*place));
        replicas.flat_map(|replica| replica.list(space)).map(|(tag, _)| tag).collect()
    });
    let left = listed.iter().filter(|tag| !named(tag)).count();
    // What was uploaded for the next version and given up stays until there is a next version.
    let open = listed.iter().filter(|tag| !named(tag) && !register.is_dead(tag)).count();
    if left > open {
        return Err(format!("{} dead blobs of {space:?} are left", left - open));
    }
    Ok(())
}

fn good_copies(actor: &Actor, members: &[usize], space: Space, tag: grafos_replicated::BlobTag) -> usize {
    actor.with(|net| {
        let has = |replica: &&crate::replica::Replica| {
            replica.blobs.get(&(space, tag)).is_some_and(|stored| stored.is_good)
        };
        members.iter().filter_map(|place| net.replicas.get(*place)).filter(has).count()
    })
}
