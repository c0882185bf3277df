//! One line for one event.

use crate::model::EventView;
use crate::render::{Cell, Item, Paint, Times};

impl Item for EventView {
    const KIND: &'static str = "Event";
    const NONE: &'static str = "no such event";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec![" TIME", "NODE", "SUBJECT", "CHANGE", "CAUSE", "MESSAGE"];
        if wide {
            headers.splice(5..5, ["TYPE", "SEVERITY", "CLOCK ±", "ACTOR", "EVENT"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let mark = if self.order_uncertain { '~' } else { ' ' };
        let change = match self.current_state.as_str() {
            "" => Paint::Plain,
            state => Paint::state(state),
        };
        let message = match self.severity {
            "ERROR" => Paint::Bad,
            "WARN" => Paint::Warn,
            _ => Paint::Plain,
        };
        let mut cells = vec![
            Cell::new(format!("{mark}{}", times.maybe(self.corrected_time))),
            Cell::new(&self.node),
            Cell::painted(Paint::Bold, self.subject_label()),
            Cell::painted(change, self.change()),
            Cell::new(&self.cause),
            Cell::painted(message, self.sentence()),
        ];
        if wide {
            let actor = self.actor.as_ref().map(|actor| actor.principal.clone()).unwrap_or_default();
            let more = [
                Cell::new(&self.kind),
                Cell::new(self.severity),
                Cell::new(self.uncertainty.to_string()),
                Cell::new(actor),
                Cell::new(self.label()),
            ];
            cells.splice(5..5, more);
        }
        cells
    }
}

/// Widths for lines that are printed before the next one is known: of what is usual.
pub(crate) fn usual_widths(wide: bool, longest_node: usize) -> Vec<usize> {
    let mut widths = vec![25, longest_node.max(6), 14, 22, 20, 0];
    if wide {
        widths.splice(5..5, [24, 8, 8, 14, 20]);
    }
    widths
}
