//! The test's own way into a server: a Unix socket, a user who may do everything, and as much of RESP as that needs.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Null,
    /// A number.
    Number(i64),
    /// A status or a string; octets that are not text are replaced.
    Text(String),
    /// A list.
    List(Vec<Self>),
}

impl Reply {
    /// This text, as a reply.
    pub fn text_of(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Number(_) | Self::List(_) => None,
        }
    }

    /// The members of a list; none of anything else.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            Self::Null | Self::Number(_) | Self::Text(_) => &[],
        }
    }
}

pub(super) const USER: &str = "control";
pub(super) const PASSWORD: &str = "control";

/// One command on a connection of its own.
pub(super) async fn command(socket: &Path, words: &[&str]) -> Result<Reply, String> {
    let answered = async {
        let mut stream = BufReader::new(UnixStream::connect(socket).await.map_err(|error| error.to_string())?);
        ask(&mut stream, &["AUTH", USER, PASSWORD]).await?;
        ask(&mut stream, words).await
    };
    tokio::time::timeout(PATIENCE, answered)
        .await
        .unwrap_or_else(|_| Err("no answer".to_owned()))
}

async fn ask(stream: &mut BufReader<UnixStream>, words: &[&str]) -> Result<Reply, String> {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    let request = format!("*{}\r\n{}", words.len(), words.concat());
    let written = stream.write_all(request.as_bytes()).await;
    written.map_err(|error| error.to_string())?;
    read(stream).await
}

async fn read(stream: &mut BufReader<UnixStream>) -> Result<Reply, String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.map_err(|error| error.to_string())?;
    let line = line.trim_end();
    let kind = line.chars().next().ok_or("the connection was closed")?;
    let rest = line.get(kind.len_utf8()..).unwrap_or_default();
    let length = || rest.parse::<i64>().map_err(|_| format!("not an answer: {line}"));
    match kind {
        '+' => Ok(Reply::text_of(rest)),
        '-' => Err(rest.to_owned()),
        ':' => Ok(Reply::Number(length()?)),
        '$' | '*' if length()? < 0 => Ok(Reply::Null),
        '$' => {
            let mut octets = vec![0; usize::try_from(length()?).map_err(|error| error.to_string())? + 2];
            stream
                .read_exact(&mut octets)
                .await
                .map_err(|error| error.to_string())?;
            octets.truncate(octets.len().saturating_sub(2));
            Ok(Reply::Text(String::from_utf8_lossy(&octets).into_owned()))
        }
        '*' => {
            let mut members = Vec::new();
            for _ in 0..length()? {
                members.push(Box::pin(read(stream)).await?);
            }
            Ok(Reply::List(members))
        }
        _ => Err(format!("not an answer: {line}")),
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
