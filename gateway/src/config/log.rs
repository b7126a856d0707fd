//! `[log]`

use super::reader::Section;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Whether one line is written for each request.
    pub access: bool,
    /// json, or text for people.
    pub format: LogFormat,
    /// error, warn, info, debug or trace.
    pub level: tracing::Level,
}

/// How the application's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For programs.
    Json,
    /// For people.
    Text,
}

pub(super) fn log(section: Section<'_, '_>) -> Log {
    use tracing::Level;
    const FORMATS: [(&str, LogFormat); 3] = [
        ("auto", LogFormat::Auto),
        ("json", LogFormat::Json),
        ("text", LogFormat::Text),
    ];
    const LEVELS: [(&str, Level); 5] = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let log = Log {
        access: section.flag("access", true),
        format: section.word("format", LogFormat::Auto, &FORMATS),
        level: section.word("level", Level::INFO, &LEVELS),
    };
    section.finish();
    log
}
