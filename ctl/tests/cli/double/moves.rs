//! Planned moves of the double: it answers what the test says, and shows the wish.

use ha_proto::v1;
use tonic::Status;

use super::World;

impl World {
    pub(super) fn drain(&mut self, request: v1::DrainNodeRequest) -> Result<v1::DrainNodeResponse, Status> {
        self.change(request.validate_only, |world| {
            world.instances.iter_mut().for_each(|instance| instance.drained = true);
        })?;
        self.drains.push(request);
        let (drain, moves) = (Some(self.drain_now()), self.moves.clone());
        Ok(v1::DrainNodeResponse { drain, moves, resume_token: self.token(self.newest()) })
    }

    pub(super) fn undrain(
        &mut self,
        request: v1::UndrainNodeRequest,
    ) -> Result<v1::UndrainNodeResponse, Status> {
        if let Some(refusal) = &self.refuse_changes {
            return Err(refusal.clone());
        }
        if !request.validate_only {
            self.instances.iter_mut().for_each(|instance| instance.drained = false);
        }
        let (drain, resume_token) = (Some(self.drain_now()), self.token(self.newest()));
        Ok(v1::UndrainNodeResponse { drain, resume_token })
    }

    pub(super) fn transfer(
        &mut self,
        request: v1::TransferInstanceRequest,
    ) -> Result<v1::TransferInstanceResponse, Status> {
        let name = request.name.clone();
        self.find(&name)?;
        self.change(request.validate_only, |world| {
            let held = world.find(&name).map(|instance| instance.preempt_hold = Some(Default::default()));
            assert!(held.is_ok());
        })?;
        self.transfers.push(request);
        let (instance, r#move) = (Some(self.find(&name)?.clone()), self.moves.first().cloned());
        Ok(v1::TransferInstanceResponse { instance, r#move, resume_token: self.token(self.newest()) })
    }

    pub(super) fn end_transfer(
        &mut self,
        request: v1::EndTransferRequest,
    ) -> Result<v1::EndTransferResponse, Status> {
        let instance = self.find(&request.name)?;
        if !request.validate_only {
            instance.preempt_hold = None;
        }
        let instance = Some(instance.clone());
        Ok(v1::EndTransferResponse { instance, resume_token: self.token(self.newest()) })
    }

    pub(super) fn drain_now(&self) -> v1::Drain {
        let drained = self.instances.iter().any(|instance| instance.drained);
        let name = format!("nodes/{}/drain", self.name);
        v1::Drain { name, drained, ..self.drain.clone() }
    }

    fn change(&mut self, validate_only: bool, wish: impl FnOnce(&mut World)) -> Result<(), Status> {
        if let Some(refusal) = &self.refuse_changes {
            return Err(refusal.clone());
        }
        if validate_only {
            return Ok(());
        }
        wish(self);
        if let Some(effect) = self.effect.take() {
            effect(self, 1);
            self.effect = Some(effect);
        }
        Ok(())
    }
}
