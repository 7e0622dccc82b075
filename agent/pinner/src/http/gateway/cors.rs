//! Web pages may read public content from anywhere: it is checked where it arrives.

use super::super::Request;
use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Cache-Control, If-None-Match, If-Range, Range"),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Content-Length, Content-Range, ETag, X-Ipfs-Path, X-Ipfs-Roots"),
    ),
];

/// Says so in every answer, and answers a browser that asks beforehand.
pub(in super::super) async fn allow_all(request: Request, next: Next) -> Response {
    let mut answer = if *request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    answer.headers_mut().extend(HEADERS);
    answer
}
