//! Who is told of what.

use ha_config::{Notifier, NotifyChannel};
use ha_engine::EventKind;

use super::notice::{Class, Notice};

/// Whether `notifier` is told of `notice`.
pub(super) fn wants(notifier: &Notifier, notice: &Notice) -> bool {
    // Whoever cannot be told need not be told that.
    let is_own = notice.class == Class::Notifier && notice.name == notifier.name;
    let in_scope = notifier.on.iter().any(|scope| notice.is_in(scope));
    let in_states =
        notifier.states.is_empty() || notice.turned.is_some_and(|state| notifier.states.contains(&state));
    in_scope && in_states && !is_own && is_of_type(notifier, notice)
}

fn is_of_type(notifier: &Notifier, notice: &Notice) -> bool {
    if notifier.types.is_empty() {
        return notice.is_transition || is_line(notifier, notice);
    }
    let name = notice.record.type_name();
    notifier.types.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    })
}

/// keepalived writes lines for more than transitions.
fn is_line(notifier: &Notifier, notice: &Notice) -> bool {
    let NotifyChannel::Fifo(fifo) = &notifier.channel else { return false };
    match notice.record.event().map(|event| &event.kind) {
        Some(EventKind::PriorityChanged { .. }) => fifo.priorities,
        Some(EventKind::DuplicateActiveBegan { .. }) => true,
        _ => false,
    }
}
