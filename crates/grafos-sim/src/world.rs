//! [`run`]: one world, from its seed to its rest. One thread; programs are futures that are asked when an answer is there.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::actor::Actor;
use crate::config::{Config, Weather};
use crate::layout::{EFFECTS, Layouts};
use crate::message::{Answer, CallId};
use crate::mutant::Mutant;
use crate::net::{Event, Fault, Net};
use crate::random::Random;
use crate::rest;
use crate::store::Store;
use crate::totals::Totals;
use crate::watch::Violation;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Writer,
    Worker,
    Reader,
    Collector,
    Repairer,
    Retirer,
    Changer,
}

struct Program {
    role: Role,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    paused_until_us: u64,
}

/// A world that held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How often things happened.
    pub totals: Totals,
    /// Stands for all that happened: the same seed gives the same.
    pub hash: u64,
}

/// A world that did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: {} (step {})\nreplay it with: cargo xtask sim --seed {seed} --steps {steps}{}",
    violation.invariant, violation.what, violation.step,
    mutant.map(|mutant| format!(" --mutant {}", mutant.name())).unwrap_or_default()
)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// How many steps were asked for.
    pub steps: u64,
    /// The planted fault.
    pub mutant: Option<Mutant>,
    /// What was broken.
    pub violation: Violation,
}

/// Runs one world.
///
/// # Errors
/// The first violation of an invariant.
pub fn run(config: &Config) -> Result<Report, Failure> {
    let mut world = World::new(config);
    world.live(config.steps);
    rest::come_to_rest(&mut world);
    let mut net = world.net.borrow_mut();
    net.watch.judge();
    net.watch.totals.virtual_ms = net.clock.now_us() / 1000;
    match net.watch.violation.take() {
        None => Ok(Report { totals: net.watch.totals, hash: net.watch.hashed() }),
        Some(violation) => {
            let Config { seed, steps, mutant } = *config;
            Err(Failure { seed, steps, mutant, violation })
        }
    }
}

pub(crate) struct World {
    pub(crate) net: Rc<RefCell<Net>>,
    programs: Vec<Program>,
}

impl World {
    fn new(config: &Config) -> Self {
        let mut random = Random::new(config.seed);
        let weather = Weather::of(&mut random);
        let layouts = Layouts::new(&weather, config.mutant);
        let first = layouts.said(EFFECTS);
        let store = Store::new(first.claims.clone(), first.effects.clone());
        let net = Rc::new(RefCell::new(Net::new(random, weather, config.mutant, store, layouts)));
        let mut roles = vec![Role::Writer; weather.writers];
        roles.extend(vec![Role::Worker; weather.workers]);
        roles.extend([Role::Reader, Role::Reader, Role::Collector, Role::Repairer, Role::Retirer]);
        if weather.change_ms.is_some() {
            roles.extend([Role::Changer, Role::Changer]);
        }
        let program = |role| Program { role, future: None, paused_until_us: 0 };
        let world = Self { net, programs: roles.into_iter().map(program).collect() };
        world.plan_the_first();
        world
    }

    fn plan_the_first(&self) {
        let mut net = self.net.borrow_mut();
        for actor in 0..self.programs.len() {
            let in_us = net.random.below(10_000);
            net.clock.plan(in_us, Event::Start { actor });
        }
        for fault in [Fault::Crash, Fault::Pause, Fault::ReplicaCrash, Fault::Wipe, Fault::Flip] {
            plan_fault(&mut net, fault);
        }
        if net.weather.restore_ms.is_some() {
            plan_fault(&mut net, Fault::Copy);
            plan_fault(&mut net, Fault::Restore);
        }
    }

    pub(crate) fn actor(&self, id: usize) -> Actor {
        Actor::new(&self.net, id)
    }

    fn live(&mut self, steps: u64) {
        while self.net.borrow().watch.totals.steps < steps && self.net.borrow().watch.violation.is_none() {
            if !self.step() {
                return;
            }
        }
    }

    /// Goes through one event. Returns whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let Some(event) = self.net.borrow_mut().clock.next() else { return false };
        if let Event::Answer { call, .. } = &event
            && self.net.borrow().waits_for(*call).is_none()
        {
            // Nobody waits for it any more: nothing happens.
            return true;
        }
        {
            let mut net = self.net.borrow_mut();
            net.watch.totals.steps += 1;
            let (now_us, kind) = (net.clock.now_us(), kind_of(&event));
            net.watch.hash(now_us << 4 | kind);
        }
        match event {
            Event::Start { actor } => self.start(actor),
            Event::Arrive { call, request, era } => self.net.borrow_mut().arrive(call, &request, era),
            Event::Answer { call, answer } => self.tell(call, answer),
            Event::Fault(fault) => self.strike(fault),
            Event::ReplicaUp { replica } => {
                if let Some(replica) = self.net.borrow_mut().replicas.get_mut(replica) {
                    replica.is_down = false;
                }
            }
        }
        true
    }

    fn start(&mut self, at: usize) {
        let actor = self.actor(at);
        let Some(program) = self.programs.get_mut(at) else { return };
        if program.future.is_some() || self.net.borrow().is_calm {
            return;
        }
        let future: Pin<Box<dyn Future<Output = ()>>> = match program.role {
            Role::Writer => Box::pin(actor.write_plain()),
            Role::Worker => Box::pin(actor.work()),
            Role::Reader => Box::pin(actor.read_always()),
            Role::Collector => Box::pin(actor.collect_always()),
            Role::Repairer => Box::pin(actor.repair_always()),
            Role::Retirer => Box::pin(actor.retire_always()),
            Role::Changer => Box::pin(actor.change_always()),
        };
        program.future = Some(future);
        self.ask(at);
    }

    fn tell(&mut self, call: CallId, answer: Answer) {
        let Some(at) = self.net.borrow().waits_for(call) else { return };
        let paused_until_us = self.programs.get(at).map_or(0, |program| program.paused_until_us);
        let mut net = self.net.borrow_mut();
        let now_us = net.clock.now_us();
        if paused_until_us > now_us {
            // It sleeps, and finds the answer when it wakes up.
            net.clock.plan(paused_until_us - now_us, Event::Answer { call, answer });
            return;
        }
        net.hand_over(call, answer);
        drop(net);
        self.ask(at);
    }

    /// Lets a program go on as far as it can.
    fn ask(&mut self, at: usize) {
        let Some(program) = self.programs.get_mut(at) else { return };
        let Some(future) = &mut program.future else { return };
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.stop(at);
        }
    }

    /// The program ends, and a new one begins in its place after a while.
    fn stop(&mut self, at: usize) {
        if let Some(program) = self.programs.get_mut(at) {
            program.future = None;
            program.paused_until_us = 0;
        }
        let mut net = self.net.borrow_mut();
        net.forget(at);
        let in_us = net.random.between(1000, 100_000);
        net.clock.plan(in_us, Event::Start { actor: at });
    }

    pub(crate) fn stop_all(&mut self) {
        for at in 0..self.programs.len() {
            self.stop(at);
        }
    }

    fn strike(&mut self, fault: Fault) {
        if self.net.borrow().is_calm {
            return;
        }
        let programs = self.programs.len();
        let mut net = self.net.borrow_mut();
        plan_fault(&mut net, fault);
        let replicas = net.replicas.len();
        let (program, replica) = (net.random.index(programs), net.random.index(replicas));
        match fault {
            Fault::Crash => {
                net.watch.totals.crashes += 1;
                drop(net);
                self.stop(program);
            }
            Fault::Pause => {
                net.watch.totals.pauses += 1;
                let until_us = net.clock.now_us() + net.random.between(20_000, 3_000_000);
                if let Some(program) = self.programs.get_mut(program) {
                    program.paused_until_us = until_us;
                }
            }
            Fault::ReplicaCrash => net.crash_replica(replica),
            Fault::Wipe => net.wipe(replica),
            Fault::Flip => net.flip(replica),
            Fault::Copy => net.store.take_copy(),
            Fault::Restore => net.restore(),
        }
    }
}

fn plan_fault(net: &mut Net, fault: Fault) {
    let weather = net.weather;
    let mean_ms = match fault {
        Fault::Crash => weather.crash_ms,
        Fault::Pause => weather.pause_ms,
        Fault::ReplicaCrash => weather.replica_crash_ms,
        Fault::Wipe => weather.wipe_ms,
        Fault::Flip => weather.flip_ms,
        Fault::Copy => weather.restore_ms.unwrap_or(u64::MAX / 4000) / 4,
        Fault::Restore => weather.restore_ms.unwrap_or(u64::MAX / 4000),
    };
    let in_us = net.random.between(1, mean_ms * 2000);
    net.clock.plan(in_us, Event::Fault(fault));
}

fn kind_of(event: &Event) -> u64 {
    match event {
        Event::Start { .. } => 1,
        Event::Arrive { .. } => 2,
        Event::Answer { .. } => 3,
        Event::Fault(_) => 4,
        Event::ReplicaUp { .. } => 5,
    }
}
