//! What the demo's two servers share: a listener on a free port, and one HTTP call.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::Trouble;

/// Serves `answer` until the process ends; port 0: a free one.
pub(super) async fn start<F>(address: SocketAddr, answer: fn(Request<Bytes>) -> F) -> std::io::Result<SocketAddr>
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
    Ok(address)
}

async fn serve<F>(stream: TcpStream, answer: fn(Request<Bytes>) -> F)
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok::<_, hyper::Error>(answer(Request::from_parts(parts, body)).await)
    });
    if let Err(error) = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a demo connection ended");
    }
}

/// One call on a connection of its own: status and body.
pub(super) async fn call(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<(u16, String), Trouble> {
    let host = http::HeaderValue::from_str(&address.to_string())?;
    request.headers_mut().insert(http::header::HOST, host);
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    driving.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
