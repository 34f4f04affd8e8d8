//! Audit files, entry by entry and in the order of time, whatever order they
//! are given in: rotated, gzipped, of several nodes, or from stdin.
//!
//! Each file is read as a stream and is in order by itself, as servers write
//! them. A file is opened when its first entry is due.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::entry::Entry;
use super::progress::Progress;
use crate::model::time::Timestamp;

/// Where entries come from.
pub enum Source {
    /// A file, plain or gzipped.
    File(PathBuf),
    /// A stream that can be read once, and its name.
    Stream(String, Box<dyn Read>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name()).finish()
    }
}

impl Source {
    /// What it is called in the report.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stream(name, _) => name.clone(),
        }
    }
}

/// What was met in one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) name: String,
    /// Entries that could be read.
    pub(super) entries: u64,
    /// Lines that are no entry.
    pub(super) broken: u64,
    /// Lines that are longer than is read.
    pub(super) long: u64,
    /// Why it ended before its end, if it did.
    pub(super) cut: Option<String>,
}

/// All sources as one.
pub(super) struct Lines {
    readers: Vec<Reader>,
    longest: usize,
    progress: Progress,
}

struct Reader {
    from: Input,
    tally: Tally,
    /// The entry that is next. Kept for files that are not open, too.
    head: Option<Entry>,
    /// Of a file that is not open: when its first entry was.
    due: Option<Timestamp>,
}

enum Input {
    Closed(PathBuf),
    Open(Box<dyn BufRead>),
    Ended,
}

enum Line {
    Whole,
    Long,
    End,
}

impl Lines {
    /// Opens every source once, to see that it can be read and when it begins.
    pub(super) fn open(
        sources: Vec<Source>,
        longest: usize,
        progress: Progress,
    ) -> Result<Self, String> {
        let mut lines = Self {
            readers: Vec::new(),
            longest,
            progress,
        };
        for source in sources {
            lines.add(source)?;
        }
        Ok(lines)
    }

    fn add(&mut self, source: Source) -> Result<(), String> {
        let name = source.name();
        let at = |error: io::Error| format!("{name}: {error}");
        let (input, path) = match source {
            Source::File(path) => {
                let (file, about) = open(&path).map_err(at)?;
                // A pipe under a name can be read once, as stdin.
                let again = about.is_file().then_some(path);
                if again.is_some() {
                    self.progress.expect(about.len());
                }
                (file, again)
            }
            Source::Stream(_, input) => (input, None),
        };
        let mut reader = Reader {
            from: Input::Open(plain(input).map_err(at)?),
            tally: Tally {
                name: name.clone(),
                ..Tally::default()
            },
            head: None,
            due: None,
        };
        let empty = reader.is_at_end().map_err(at)?;
        reader.advance(self.longest, &self.progress.silent());
        if reader.head.is_none() && !empty {
            return Err(format!(
                "{name}: {}; give files that an audit device of the type `file` wrote",
                match &reader.tally.cut {
                    Some(error) => error.as_str(),
                    None => "holds no entry of an audit log",
                }
            ));
        }
        if let Some(path) = path {
            // Many files may be given, and few are read at a time.
            reader.due = reader.head.take().map(|entry| entry.time());
            reader.from = if reader.due.is_some() {
                Input::Closed(path)
            } else {
                Input::Ended
            };
            reader.tally = Tally {
                name,
                ..Tally::default()
            };
        }
        self.readers.push(reader);
        Ok(())
    }

    /// The next entry of all. A file that is gone since is an error.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, String> {
        loop {
            let next = self
                .readers
                .iter_mut()
                .filter_map(|reader| Some((reader.next_at()?, reader)))
                .min_by_key(|(at, _)| *at);
            let Some((_, reader)) = next else {
                self.progress.end();
                return Ok(None);
            };
            if let Input::Closed(path) = &reader.from {
                let at = |error: io::Error| format!("{}: {error}", path.display());
                let (file, _) = open(path).map_err(at)?;
                let counted = Box::new(self.progress.counting(file));
                reader.from = Input::Open(plain(counted).map_err(at)?);
                reader.due = None;
                reader.advance(self.longest, &self.progress);
                continue;
            }
            let entry = reader.head.take();
            reader.advance(self.longest, &self.progress);
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    /// What was met in each source.
    pub(super) fn tallies(self) -> Vec<Tally> {
        self.readers
            .into_iter()
            .map(|reader| reader.tally)
            .collect()
    }
}

impl Reader {
    fn next_at(&self) -> Option<Timestamp> {
        self.due
            .or_else(|| self.head.as_ref().map(|entry| entry.time()))
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        match &mut self.from {
            Input::Open(input) => Ok(input.fill_buf()?.is_empty()),
            Input::Closed(_) | Input::Ended => Ok(true),
        }
    }

    /// Goes on to the next entry, past what is none.
    fn advance(&mut self, longest: usize, progress: &Progress) {
        let Input::Open(input) = &mut self.from else {
            return;
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            progress.show();
            match read_line(input.as_mut(), &mut line, longest) {
                Ok(Line::Whole) if line.trim_ascii().is_empty() => {}
                Ok(Line::Whole) => match Entry::read(&line) {
                    Some(entry) => {
                        self.tally.entries = self.tally.entries.saturating_add(1);
                        self.head = Some(entry);
                        return;
                    }
                    None => self.tally.broken = self.tally.broken.saturating_add(1),
                },
                Ok(Line::Long) => self.tally.long = self.tally.long.saturating_add(1),
                Ok(Line::End) => break,
                Err(error) => {
                    self.tally.cut = Some(error.to_string());
                    break;
                }
            }
        }
        self.from = Input::Ended;
    }
}

/// Reads up to a newline or the end. Of a line that is too long, nothing is
/// kept.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>, longest: usize) -> io::Result<Line> {
    let (mut long, mut any) = (false, false);
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(match (long, any) {
                (true, _) => Line::Long,
                (false, true) => Line::Whole,
                (false, false) => Line::End,
            });
        }
        any = true;
        let newline = buffer.iter().position(|byte| *byte == b'\n');
        let piece = buffer
            .get(..newline.unwrap_or(buffer.len()))
            .unwrap_or_default();
        if long || line.len().saturating_add(piece.len()) > longest {
            long = true;
            line.clear();
        } else {
            line.extend_from_slice(piece);
        }
        let used = piece.len().saturating_add(usize::from(newline.is_some()));
        input.consume(used);
        if newline.is_some() {
            return Ok(if long { Line::Long } else { Line::Whole });
        }
    }
}

fn open(path: &Path) -> io::Result<(Box<dyn Read>, Metadata)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    Ok((Box::new(file), about))
}

/// Unpacks what begins as gzip does (RFC 1952), under whatever name.
fn plain(input: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    let mut input = BufReader::new(input);
    let is_gzip = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn entry(minute: u32) -> String {
        format!("{{\"type\":\"response\",\"time\":\"2026-03-02T09:{minute:02}:00Z\"}}\n")
    }

    fn stream(bytes: impl Into<Vec<u8>>) -> Source {
        Source::Stream("-".to_owned(), Box::new(io::Cursor::new(bytes.into())))
    }

    fn minutes(sources: Vec<Source>, longest: usize) -> (Vec<String>, Vec<Tally>) {
        let mut lines = Lines::open(sources, longest, Progress::none()).unwrap();
        let mut seen = Vec::new();
        while let Some(entry) = lines.next().unwrap() {
            seen.push(entry.time().to_string().chars().skip(14).take(2).collect());
        }
        (seen, lines.tallies())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn files_in_any_order_are_read_in_the_order_of_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("c"), [entry(4), entry(6)].concat()).unwrap();
        std::fs::write(path("b.gz"), gzip(&[entry(1), entry(5)].concat())).unwrap();
        std::fs::write(path("a"), [entry(2), entry(3)].concat()).unwrap();
        std::fs::write(path("empty"), "").unwrap();
        let files = ["c", "empty", "b.gz", "a"].map(|name| Source::File(path(name)));
        let (seen, tallies) = minutes(files.into(), 1000);
        assert_eq!(seen, ["01", "02", "03", "04", "05", "06"]);
        let counts: Vec<u64> = tallies.iter().map(|tally| tally.entries).collect();
        assert_eq!(counts, [2, 0, 2, 2]);
    }

    #[test]
    fn broken_and_long_lines_are_counted_and_passed_over() {
        let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(200));
        let text = [&entry(1), "junk\n\n", &long, &entry(2), "{\"type\":"].concat();
        let (seen, tallies) = minutes(vec![stream(text)], 100);
        assert_eq!(seen, ["01", "02"]);
        let tally = &tallies[0];
        assert_eq!((tally.entries, tally.broken, tally.long), (2, 2, 1));
    }

    #[test]
    fn a_gzip_that_was_cut_says_so_and_gives_what_it_has() {
        let many: String = (0..60).cycle().take(5000).map(entry).collect();
        let mut packed = gzip(&many);
        packed.truncate(packed.len() - 30);
        let (seen, tallies) = minutes(vec![stream(packed)], 1000);
        assert!(seen.len() > 100, "{}", seen.len());
        assert!(tallies[0].cut.is_some());
    }

    #[test]
    fn what_is_no_audit_log_is_refused_by_name() {
        let open = |source| {
            Lines::open(vec![source], 100, Progress::none())
                .err()
                .unwrap()
        };
        assert!(open(stream("hello\n")).starts_with("-: holds no entry"));
        let missing = open(Source::File("/nowhere/audit.log".into()));
        assert!(missing.starts_with("/nowhere/audit.log: "), "{missing}");
        assert!(open(Source::File("/tmp".into())).starts_with("/tmp: "));
    }
}
