//! [`Machine`]: the state behind all clones of a [`FaultyBlockHost`](super::FaultyBlockHost), changed under one lock.
//!
//! Invariant: while the power is off there are no holders and no journal; the disk is in the state that the power
//! cut asked for, or the reason why not is kept for `power_on`.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use fabricbios_core::lease::LeaseId;

use super::super::fault::{Fault, FaultPlan, Keep, Op};
use super::disconnected;
use super::journal::{Journal, Run};
use crate::block::BLOCK_SIZE;
use crate::error::Result;
use crate::host::{BlockHost, BlockRequest, LeasedBlocks, VolumeName};

pub(super) struct Machine {
    inner: Arc<dyn BlockHost>,
    powered: bool,
    plan: FaultPlan,
    ops: Vec<Op>,
    holders: BTreeMap<HolderId, Holder>,
    next_holder: HolderId,
    /// The newest lease of each volume that was held: the way back to a volume whose holder is gone.
    newest_leases: BTreeMap<VolumeName, LeaseId>,
    journal: Journal,
    unsettled: Result<()>,
}

/// Names a holder on this machine; never reused, so a dead one is told from its successor.
pub(super) type HolderId = u64;

#[derive(Clone)]
pub(super) struct Holder {
    pub(super) volume: VolumeName,
    pub(super) blocks: Arc<dyn LeasedBlocks>,
}

impl Machine {
    pub(super) fn new(inner: Arc<dyn BlockHost>) -> Self {
        Self {
            inner,
            powered: true,
            plan: FaultPlan::none(),
            ops: Vec::new(),
            holders: BTreeMap::new(),
            next_holder: 0,
            newest_leases: BTreeMap::new(),
            journal: Journal::default(),
            unsettled: Ok(()),
        }
    }

    pub(super) fn set_plan(&mut self, plan: FaultPlan) {
        self.plan = plan;
        self.ops.clear();
    }

    pub(super) fn ops(&self) -> &[Op] {
        &self.ops
    }

    pub(super) fn unflushed(&self) -> Vec<u64> {
        self.journal.blocks_of_writes()
    }

    pub(super) fn is_powered(&self) -> bool {
        self.powered
    }

    pub(super) fn inner_if_powered(&self) -> Result<&Arc<dyn BlockHost>> {
        if self.powered { Ok(&self.inner) } else { Err(disconnected()) }
    }

    pub(super) fn add_holder(
        &mut self,
        volume: VolumeName,
        lease_id: LeaseId,
        blocks: Box<dyn LeasedBlocks>,
    ) -> HolderId {
        let id = self.next_holder;
        self.next_holder += 1;
        self.newest_leases.insert(volume.clone(), lease_id);
        self.holders.insert(id, Holder { volume, blocks: Arc::from(blocks) });
        id
    }

    /// The holder, unless it is dead.
    pub(super) fn holder(&self, id: HolderId) -> Result<Holder> {
        self.holders.get(&id).cloned().ok_or_else(disconnected)
    }

    pub(super) fn remove_holder(&mut self, id: HolderId) {
        self.holders.remove(&id);
    }

    /// Counts an operation and says what is to go wrong with it.
    pub(super) fn count(&mut self, mut op: Op, num_blocks: u64) -> Option<Fault> {
        if !self.plan.counts(op.kind) {
            return None;
        }
        let fault =
            self.plan.fault(self.ops.len(), op.kind).filter(|fault| fault.fits(&op, num_blocks)).cloned();
        op.faulted = fault.is_some();
        self.ops.push(op);
        fault
    }

    /// Writes so that a power cut can take it back.
    pub(super) fn write(&mut self, holder: &Holder, first_block: u64, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.remember(holder, first_block, from)?;
        holder.blocks.write(first_block, from)
    }

    /// A write that a power cut finds on its way: in the journal, not yet below.
    pub(super) fn remember(&mut self, holder: &Holder, first_block: u64, from: &[u8]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.journal.check_room(from.len())?;
        let mut before = vec![0; from.len()];
        holder.blocks.read(first_block, &mut before)?;
        self.journal.add(holder.volume.clone(), first_block, before, from.to_vec());
        Ok(())
    }

    pub(super) fn flush(&mut self, holder: &Holder) -> Result<()> {
        holder.blocks.flush()?;
        self.journal.flushed(&holder.volume);
        Ok(())
    }

    pub(super) fn flush_in_part(&mut self, holder: &Holder, blocks: u64) -> Result<()> {
        holder.blocks.flush()?;
        self.journal.flushed_in_part(&holder.volume, blocks);
        Ok(())
    }

    pub(super) fn cut_power(&mut self, keep: &Keep) {
        if !self.powered {
            return;
        }
        self.powered = false;
        let mut by_volume: BTreeMap<VolumeName, Vec<Run>> = BTreeMap::new();
        for run in self.journal.settle(keep) {
            by_volume.entry(run.volume.clone()).or_default().push(run);
        }
        self.unsettled = by_volume.iter().try_for_each(|(volume, runs)| self.settle(volume, runs));
        self.holders.clear();
    }

    pub(super) fn kill_holders(&mut self) {
        self.holders.clear();
    }

    pub(super) fn power_on(&mut self) -> Result<()> {
        self.powered = true;
        mem::replace(&mut self.unsettled, Ok(()))
    }

    /// Writes the runs of one volume below, durably.
    fn settle(&self, volume: &VolumeName, runs: &[Run]) -> Result<()> {
        let holder = self.holders.values().rev().find(|holder| holder.volume == *volume);
        let blocks = match holder {
            Some(holder) => Arc::clone(&holder.blocks),
            None => self.reopen(volume)?,
        };
        for run in runs {
            blocks.write(run.first_block, &run.bytes)?;
        }
        blocks.flush()
    }

    /// A volume whose holder is gone. Its lease stays what it is if it is still active; else there is a new one, of a
    /// second. Its epoch goes up by one.
    fn reopen(&self, volume: &VolumeName) -> Result<Arc<dyn LeasedBlocks>> {
        let attached = self.newest_leases.get(volume).and_then(|lease| self.inner.attach(*lease).ok());
        let request = BlockRequest { volume: Some(volume.clone()), min_blocks: 1, lease_secs: 1 };
        let grant = attached.map_or_else(|| self.inner.acquire(&request), Ok)?;
        Ok(Arc::from(grant.blocks))
    }
}

/// How many blocks a buffer holds.
pub(super) fn blocks_in(len: usize) -> u64 {
    (len / BLOCK_SIZE) as u64
}
