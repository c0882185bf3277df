//! What an instance waits for, for whoever looks for a fault in the agent itself.

use super::active::Active;
use super::backup::Backup;
use super::{Instance, State};
use crate::snapshot::Inner;

impl Instance {
    pub(super) fn inner(&self) -> Inner {
        let common = Inner {
            next: self.deadline(),
            failures: self.failures,
            losses: self.losses.0,
            words: self.words.len(),
            ..Inner::default()
        };
        match &self.state {
            State::Initialize { starts } => Inner {
                substate: match (&self.legacy, starts) {
                    (Some(_), _) => "ADOPTING",
                    (None, Some(_)) => "STARTUP_DELAY",
                    (None, None) => "WAITING",
                },
                ..common
            },
            State::Backup(backup) => backup.inner(common),
            State::Active(active) => active.inner(common),
            State::Fault => Inner { substate: self.kind_of_fault(), ..common },
        }
    }

    fn kind_of_fault(&self) -> &'static str {
        if self.held_fault.is_some() {
            "HELD"
        } else if self.link_fault.is_some() || self.address_link_faults().next().is_some() {
            "LINK"
        } else if self.group_fault.is_some() {
            "GROUP"
        } else {
            "TRACKED"
        }
    }
}

impl Backup {
    fn inner(&self, common: Inner) -> Inner {
        let (substate, active_down, away) = self.shown();
        Inner { substate, active_down: Some(active_down), away, ..common }
    }
}

impl Active {
    fn inner(&self, common: Inner) -> Inner {
        let (next_advert, announcement) = self.timers();
        let substate = match (self.moving(), self.rival(), announcement) {
            (Some(moving), ..) => moving.word(),
            (None, Some(_), _) => "RIVALLED",
            (None, None, Some(_)) => "ANNOUNCING",
            (None, None, None) => "SETTLED",
        };
        Inner {
            substate,
            next_advert: Some(next_advert),
            last_sent: Some(self.last_sent()),
            announcement,
            ..common
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::config;
    use crate::fixtures::script::{Player, changed};
    use crate::schedule::Reason;

    #[test]
    fn each_stage_of_a_state_has_its_word_and_says_what_it_waits_for() {
        let mut player = Player::new(&[changed(config("web", 7, 100), &[])]);
        for (command, substate, reason) in [
            ("0 wait", "WAITING", None),
            ("0 up", "LISTENING", Some(Reason::AdvertOverdue)),
            ("100 hear 10.0.0.2 200", "FOLLOWING", Some(Reason::AdvertOverdue)),
            ("200 hear 10.0.0.2 0", "RELEASED", Some(Reason::ActiveDown)),
            ("1000 wait", "ANNOUNCING", Some(Reason::Announcement)),
            ("20000 wait", "SETTLED", Some(Reason::Advertisement)),
            ("20100 hear 10.0.0.2 50", "RIVALLED", Some(Reason::Announcement)),
            ("20200 down", "LINK", None),
        ] {
            player.run(command);
            let inner = player.status().inner;
            assert_eq!(inner.substate, substate, "{command}");
            assert_eq!(inner.next.map(|(_, reason)| reason), reason, "{command}");
        }
    }
}
