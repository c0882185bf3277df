//! What agent and launcher say to each other over their socket: one order, then news. A frame is its length in four octets and its
//! fields; both ends are the same binary, so there are no versions.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Command, Ended, Ending, Leftovers, Limits, OUTPUT_LIMIT, Output};

/// Longer frames are refused: a whole output and some words.
const LONGEST: usize = OUTPUT_LIMIT + (192 << 10);

/// What a launcher tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// Its time is up; it is being ended, and `Ended` follows.
    TimeUp(Ended),
    /// Nothing of it is left, unless it may stay.
    Ended(Ended),
}

/// Writes an order as a frame.
pub(super) fn order(command: &Command) -> Vec<u8> {
    let mut fields = Fields::default();
    fields.texts(&command.argv);
    let (names, values): (Vec<_>, Vec<_>) = command.environment.iter().cloned().unzip();
    fields.texts(&names);
    fields.texts(&values);
    fields.texts(command.user.as_slice());
    fields.number(u64::from(command.allow_root));
    fields.duration(command.timeout);
    fields.number(command.limits.open_files.unwrap_or(u64::MAX));
    fields.number(command.limits.file_size.unwrap_or(u64::MAX));
    fields.number(u64::from(command.limits.processor_time));
    fields.number(u64::from(command.leftovers == Leftovers::Kill));
    fields.frame()
}

/// Reads an order that [`order`] wrote.
pub(super) fn read_order(frame: &[u8]) -> Option<Command> {
    let mut fields = Parser(frame);
    let bounded = |number: u64| (number != u64::MAX).then_some(number);
    let argv = fields.texts()?;
    let names = fields.texts()?;
    let environment = names.into_iter().zip(fields.texts()?).collect();
    Some(Command {
        argv,
        environment,
        user: fields.texts()?.pop(),
        allow_root: fields.number()? == 1,
        timeout: fields.duration()?,
        limits: Limits {
            open_files: bounded(fields.number()?),
            file_size: bounded(fields.number()?),
            processor_time: fields.number()? == 1,
        },
        leftovers: if fields.number()? == 1 { Leftovers::Kill } else { Leftovers::Stay },
    })
}

impl News {
    /// As a frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        match self {
            Self::TimeUp(ended) => {
                fields.number(0);
                fields.ended(ended);
            }
            Self::Ended(ended) => {
                fields.number(1);
                fields.ended(ended);
            }
        }
        fields.frame()
    }

    /// Reads what [`Self::frame`] wrote, without its length.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let mut fields = Parser(frame);
        match fields.number()? {
            0 => fields.ended().map(Self::TimeUp),
            1 => fields.ended().map(Self::Ended),
            _ => None,
        }
    }
}

/// The length that a frame announces; `None` when it is too long.
pub(super) fn length(announced: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(announced)).ok().filter(|length| *length <= LONGEST)
}

/// Reads one frame, blocking.
pub(super) fn read_frame(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut announced = [0; 4];
    from.read_exact(&mut announced)?;
    let length = length(announced).ok_or_else(|| io::Error::other("frame too long"))?;
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

/// Writes one frame, blocking. An agent that is gone is noticed elsewhere.
pub(super) fn tell(mut to: impl Write, news: &News) {
    let _ = to.write_all(&news.frame());
}

#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn signed(&mut self, number: i32) {
        self.0.extend(number.to_le_bytes());
    }

    fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    fn octets(&mut self, octets: &[u8]) {
        self.number(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        self.0.extend(octets);
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(u64::try_from(texts.len()).unwrap_or(u64::MAX));
        texts.iter().for_each(|text| self.octets(text.as_bytes()));
    }

    fn ended(&mut self, ended: &Ended) {
        let (word, number, why) = match &ended.ending {
            Ending::Exited(status) => (0, *status, ""),
            Ending::Signalled(signal) => (1, *signal, ""),
            Ending::TimedOut => (2, 0, ""),
            Ending::Refused(why) => (3, 0, &**why),
            Ending::NotStarted(why) => (4, 0, &**why),
            Ending::Lost(why) => (5, 0, &**why),
        };
        self.number(word);
        self.signed(number);
        self.octets(why.as_bytes());
        self.duration(ended.took);
        self.number(ended.output.total);
        self.octets(&ended.output.beginning);
        self.number(u64::from(ended.killed));
    }

    fn frame(self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        [length.to_le_bytes().as_slice(), &self.0].concat()
    }
}

struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn signed(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_le_bytes)
    }

    fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_nanos)
    }

    fn octets(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length).map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.octets()?).ok()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn ended(&mut self) -> Option<Ended> {
        let (word, number, why) = (self.number()?, self.signed()?, self.text()?);
        let ending = match word {
            0 => Ending::Exited(number),
            1 => Ending::Signalled(number),
            2 => Ending::TimedOut,
            3 => Ending::Refused(why),
            4 => Ending::NotStarted(why),
            5 => Ending::Lost(why),
            _ => return None,
        };
        let took = self.duration()?;
        let total = self.number()?;
        let output = Output { total, beginning: self.octets()? };
        Some(Ended { ending, took, output, killed: u32::try_from(self.number()?).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command {
            environment: vec![("HA_NAME".to_owned(), "caf\u{e9}".to_owned())],
            user: Some("nobody".to_owned()),
            limits: Limits::REMEDY,
            leftovers: Leftovers::Stay,
            ..Command::new(["/bin/true", "", "-x"], Duration::from_millis(1500))
        }
    }

    fn ended(ending: Ending) -> Ended {
        let output = Output { beginning: vec![0, 255, b'\n'], total: 1 << 40 };
        Ended { ending, took: Duration::from_micros(7), output, killed: 3 }
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        for command in [command(), Command::new(["/bin/true"], Duration::ZERO)] {
            let frame = order(&command);
            assert_eq!(read_order(&read_frame(&*frame).unwrap()), Some(command));
        }
    }

    #[test]
    fn news_arrive_as_they_were_told() {
        let endings = [
            Ending::Exited(3),
            Ending::Signalled(9),
            Ending::TimedOut,
            Ending::Refused("a".to_owned()),
            Ending::NotStarted("b".to_owned()),
            Ending::Lost("c".to_owned()),
        ];
        let ended = endings.into_iter().flat_map(|ending| {
            let ended = ended(ending);
            [News::TimeUp(ended.clone()), News::Ended(ended)]
        });
        for news in ended {
            let frame = read_frame(&*news.frame()).unwrap();
            assert_eq!(News::read(&frame), Some(news));
        }
    }

    #[test]
    fn a_frame_that_is_cut_or_too_long_is_no_order() {
        let frame = order(&command());
        for end in 4..frame.len() {
            assert_eq!(read_order(&frame[4..end]), None, "cut at {end}");
        }
        assert_eq!(length(u32::MAX.to_le_bytes()), None);
    }
}
