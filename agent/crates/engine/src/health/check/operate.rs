//! What operators do to a check.

use alloc::sync::Arc;

use super::{Because, Check, Sink};
use crate::event::{Actor, Cause, CheckEvent};
use crate::health::wire::CheckRefusal;
use crate::order::StandingOrder;

impl Check {
    /// Freezes the verdict. Results are recorded and go on moving what is measured.
    pub(in crate::health) fn mute(&mut self, sink: &mut Sink<'_>, mute: StandingOrder) {
        let lasts = mute.expires.map(|at| at.since(sink.now));
        let event = CheckEvent::Muted { reason: Arc::clone(&mute.reason), lasts };
        let because = Because { cause: Cause::AdminMute, actor: Some(Arc::clone(&mute.actor)) };
        self.damper.held_until = None;
        self.mute = Some(mute);
        self.record(sink, event, &because, None);
    }

    /// Lets results count again: the verdict becomes what is measured now.
    pub(in crate::health) fn unmute(&mut self, sink: &mut Sink<'_>, actor: Arc<Actor>) {
        if self.mute.is_some() {
            self.end_mute(sink, &Because { cause: Cause::AdminUnmute, actor: Some(actor) });
        }
    }

    pub(super) fn end_mute(&mut self, sink: &mut Sink<'_>, because: &Because) {
        self.mute = None;
        self.record(sink, CheckEvent::Unmuted, because, None);
        self.settle(sink, because);
    }

    /// Begins a run as soon as nothing else is under way.
    pub(in crate::health) fn run_now(&mut self, sink: &mut Sink<'_>) -> Result<(), CheckRefusal> {
        if self.policy.rule.is_some() {
            return Err(CheckRefusal::NotRunnable);
        }
        self.asked = true;
        self.begin_if_asked(sink);
        Ok(())
    }
}
