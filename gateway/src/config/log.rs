//! `[log]`

use super::reader::Section;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Whether one line is written for each request.
    pub access: bool,
    /// json, or text for people.
    pub json: bool,
    /// error, warn, info, debug or trace.
    pub level: tracing::Level,
}

pub(super) fn log(section: Section<'_, '_>) -> Log {
    let level = |text: &str| {
        text.parse::<tracing::Level>()
            .map_err(|_| format!("{text:?} is not a level: error, warn, info, debug, trace"))
    };
    let format = |text: &str| match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(format!("{text:?} is neither \"json\" nor \"text\"")),
    };
    let log = Log {
        access: section.flag("access", true),
        json: section.parsed("format", format).unwrap_or(true),
        level: section.parsed("level", level).unwrap_or(tracing::Level::INFO),
    };
    section.finish();
    log
}
