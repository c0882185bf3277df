//! What is on the screen: the verdict, the nodes, the addresses, the newest events. Knows nothing of the terminal but
//! the size it has.

use std::time::Instant;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span as Words};
use ratatui::widgets::{Paragraph, Row, Table};

use crate::args::ColorWhen;
use crate::commands::{Context, clock_label};
use crate::model::{EventView, NodeStatus, NodeView, VipView};
use crate::render::{Cell, Item, Paint, Times};
use crate::span::Span;
use crate::verdict::{Reason, Verdict};

#[cfg(test)]
mod tests;

/// How many lines nodes may take before addresses get the rest.
const NODE_LINES: usize = 8;

/// What was seen of the cluster at one moment.
pub(super) struct Look {
    pub(super) verdict: Verdict,
    pub(super) beside: Vec<Reason>,
    pub(super) vips: Vec<VipView>,
    pub(super) nodes: Vec<NodeView>,
    pub(super) statuses: Vec<NodeStatus>,
    pub(super) events: Vec<EventView>,
    pub(super) at: Instant,
    pub(super) took: Span,
}

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    AskNow,
    Quit,
}

/// The screen.
pub(super) struct Picture {
    look: Option<Look>,
    times: Times,
    colorful: bool,
    /// The first address that is shown.
    top: usize,
    /// How many addresses had room when it was drawn last.
    room: usize,
    paused: bool,
    only_problems: bool,
}

impl Picture {
    pub(super) fn new(context: &Context) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colorful = match context.global.color {
            ColorWhen::Auto => !no_color,
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        };
        Picture::plain(context.times.clone(), colorful)
    }

    fn plain(times: Times, colorful: bool) -> Self {
        Picture { look: None, times, colorful, top: 0, room: 1, paused: false, only_problems: false }
    }

    /// Shows something newer.
    pub(super) fn take(&mut self, look: Look) {
        self.look = Some(look);
    }

    /// Whether nothing newer is wanted.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Does what a key says; no key stands for a new size.
    pub(super) fn on_key(&mut self, key: Option<KeyEvent>) -> Wish {
        let Some(key) = key else { return Wish::Nothing };
        let last = self.vips().len().saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Wish::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('p') => (self.only_problems, self.top) = (!self.only_problems, 0),
            KeyCode::Char('r') => {
                self.paused = false;
                return Wish::AskNow;
            }
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.top = (self.top + 1).min(last),
            KeyCode::PageUp => self.top = self.top.saturating_sub(self.room),
            KeyCode::PageDown => self.top = (self.top + self.room).min(last),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = last,
            _ => {}
        }
        Wish::Nothing
    }

    /// Draws everything.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let nodes = self.look.as_ref().map_or(0, |look| look.statuses.len()).min(NODE_LINES) as u16;
        let events = (frame.area().height / 3).min(16);
        let [head, nodes, _, vips, _, events, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(nodes + 1),
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(1),
            Constraint::Length(events),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.headline()), head);
        self.room = usize::from(vips.height.saturating_sub(1)).max(1);
        if self.look.is_some() {
            frame.render_widget(self.nodes(), nodes);
            frame.render_widget(self.addresses(vips), vips);
            frame.render_widget(self.events(events), events);
        }
        frame.render_widget(Paragraph::new(self.footer()), foot);
    }

    fn vips(&self) -> Vec<&VipView> {
        let all = self.look.iter().flat_map(|look| &look.vips);
        all.filter(|vip| !self.only_problems || vip.verdict != Verdict::Ok).collect()
    }

    fn style(&self, paint: Paint) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let color = |color: Color| if self.colorful { bold.fg(color) } else { bold };
        match paint {
            Paint::Plain => Style::new(),
            Paint::Dim => Style::new().add_modifier(Modifier::DIM),
            Paint::Bold => bold,
            Paint::Good if self.colorful => Style::new().fg(Color::Green),
            Paint::Good => Style::new(),
            Paint::Warn => color(Color::Yellow),
            Paint::Unknown => color(Color::Magenta),
            Paint::Bad => color(Color::Red),
        }
    }

    fn headline(&self) -> Line<'static> {
        let Some(look) = &self.look else { return Line::raw("hactl top  asking the nodes …") };
        let answered = look.nodes.len();
        let asked = look.statuses.len();
        let wrong = look.vips.iter().filter(|vip| vip.verdict != Verdict::Ok).count();
        let all = if answered == asked { Paint::Plain } else { Paint::Bad };
        let mut words = vec![
            Words::styled(look.verdict.word(), self.style(Paint::verdict(look.verdict))),
            Words::raw(format!("  {} addresses, {wrong} not OK  ", look.vips.len())),
            Words::styled(format!("{answered}/{asked} nodes answered"), self.style(all)),
        ];
        let age = look.at.elapsed();
        let stale = if age.as_secs() >= 3 { Paint::Warn } else { Paint::Dim };
        let age = format!("  asked {} s ago, took {}", age.as_secs(), look.took);
        words.push(Words::styled(age, self.style(stale)));
        if self.paused {
            words.push(Words::styled("  PAUSED", self.style(Paint::Warn)));
        }
        Line::from(words)
    }

    fn footer(&self) -> Line<'static> {
        let problems = if self.only_problems { "p all addresses" } else { "p only problems" };
        let text = format!("q quit  ↑↓ PgUp PgDn addresses  {problems}  space pause  r ask now");
        Line::styled(text, self.style(Paint::Dim))
    }

    fn nodes(&self) -> Table<'static> {
        let Some(look) = &self.look else { return Table::default() };
        let mut rows = Vec::new();
        for status in look.statuses.iter().take(NODE_LINES) {
            let node = look.nodes.iter().find(|node| node.endpoint == status.endpoint);
            let mut cells = vec![
                Cell::painted(Paint::Bold, status.label()),
                Cell::painted(Paint::node(status.state), status.state.word()),
            ];
            match node {
                Some(node) => cells.extend([
                    Cell::new(format!("{} of {}", node.active_count, node.instance_count)),
                    Cell::new(clock_label(node)),
                    Cell::new(node.uptime.map(|uptime| uptime.to_string()).unwrap_or_default()),
                    Cell::painted(Paint::Warn, node.problems().join("; ")),
                ]),
                None => cells.extend([
                    Cell::new(""),
                    Cell::new(""),
                    Cell::new(""),
                    Cell::painted(Paint::Bad, format!("{} ({})", status.message, status.reason)),
                ]),
            }
            rows.push(cells);
        }
        self.table(&["NODE", "STATE", "ACTIVE", "CLOCK", "UPTIME", "PROBLEMS"], rows)
    }

    fn addresses(&self, area: Rect) -> Table<'static> {
        let room = usize::from(area.height.saturating_sub(1));
        let vips = self.vips();
        let first = self.top.min(vips.len().saturating_sub(1));
        let mut rows = Vec::new();
        for vip in vips.into_iter().skip(first).take(room) {
            let why = vip.reasons.first().map_or_else(|| vip.why.clone(), |reason| reason.message.clone());
            rows.push(vec![
                Cell::painted(Paint::Bold, vip.label()),
                Cell::painted(Paint::verdict(vip.verdict), vip.verdict.word()),
                Cell::new(vip.held_by.join(", ")),
                Cell::new(vip.age.map(|age| age.to_string()).unwrap_or_default()),
                Cell::new(vip.next.join(" or ")),
                Cell::new(why),
            ]);
        }
        if rows.len() < room {
            let beside = self.look.iter().flat_map(|look| &look.beside);
            let line = |reason: &Reason| {
                let verdict = Cell::painted(Paint::verdict(reason.verdict), reason.verdict.word());
                let message = Cell::new(reason.message.clone());
                vec![Cell::new(""), verdict, Cell::new(""), Cell::new(""), Cell::new(""), message]
            };
            rows.extend(beside.take(room - rows.len()).map(line));
        }
        self.table(&["VIP", "VERDICT", "HELD BY", "FOR", "NEXT", "WHY"], rows)
    }

    fn events(&self, area: Rect) -> Table<'static> {
        let room = usize::from(area.height.saturating_sub(1));
        let events = self.look.as_ref().map(|look| look.events.as_slice()).unwrap_or_default();
        let newest = &events[events.len().saturating_sub(room)..];
        let rows = newest.iter().map(|event| event.cells(false, &self.times)).collect();
        self.table(&EventView::headers(false), rows)
    }

    /// Columns as wide as their widest cell; the last one gets what is left.
    fn table(&self, headers: &[&'static str], rows: Vec<Vec<Cell>>) -> Table<'static> {
        let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text().chars().count());
            }
        }
        let last = widths.len().saturating_sub(1);
        let constraint = |(column, width): (usize, usize)| match column == last {
            true => Constraint::Min(10),
            false => Constraint::Length(width as u16),
        };
        let lines = rows.into_iter().map(|row| {
            Row::new(
                row.into_iter().map(|cell| Line::styled(cell.text().to_owned(), self.style(cell.paint()))),
            )
        });
        let header = Row::new(headers.iter().map(|header| Line::raw(*header))).style(self.style(Paint::Dim));
        Table::new(lines, widths.into_iter().enumerate().map(constraint)).header(header).column_spacing(2)
    }
}
