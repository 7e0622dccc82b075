//! Multipart forms, part by part.

use super::{
    Request,
    body::{Meter, metered},
    problem::Problem,
};
use axum::{
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, Multipart,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use std::mem;

/// The most parts of one form.
const MAX_PARTS: usize = 1024;

/// A form that is being read.
#[derive(Debug)]
pub(super) struct Form {
    multipart: Multipart,
    meter: Meter,
    parts: usize,
}

/// One part of it.
#[derive(Debug)]
pub(super) struct Part<'a> {
    field: Field<'a>,
    meter: Meter,
}

impl Form {
    /// Begins to read a form of at most `limit` bytes.
    pub(super) async fn read(mut request: Request, limit: u64) -> Result<Self, Problem> {
        let (body, meter) = metered(mem::take(request.body_mut()), limit);
        *request.body_mut() = body;
        DefaultBodyLimit::disable().apply(&mut request);
        match Multipart::from_request(request, &()).await {
            Ok(multipart) => Ok(Self { multipart, meter, parts: 0 }),
            Err(_) => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the request has to be a form: Content-Type multipart/form-data with a boundary",
            )),
        }
    }

    /// The next part; what is left of the last one is skipped.
    pub(super) async fn next_part(&mut self) -> Result<Option<Part<'_>>, Problem> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Problem::bad_request(format!("the form has more than {MAX_PARTS} parts")));
        }
        let meter = self.meter.clone();
        let field = self.multipart.next_field().await.map_err(|error| wrong(&meter, &error))?;
        meter.digested();
        Ok(field.map(|field| Part { field, meter }))
    }
}

impl Part<'_> {
    /// The field's name; empty where it has none.
    pub(super) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The name of the file that the part is, without folders; `None` for a plain value.
    pub(super) fn file_name(&self) -> Option<String> {
        let name = self.field.file_name().filter(|name| !name.is_empty())?;
        Some(name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned())
    }

    /// The next bytes of the part.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = self.field.chunk().await.map_err(|error| wrong(&self.meter, &error))?;
        self.meter.digested();
        Ok(piece)
    }

    /// Reads to the part's end. The form's bounds hold.
    pub(super) async fn skip(mut self) -> Result<(), Problem> {
        while self.piece().await?.is_some() {}
        Ok(())
    }
}

fn wrong(meter: &Meter, error: &MultipartError) -> Problem {
    meter.problem().unwrap_or_else(|| {
        Problem::bad_request(format!("the form is malformed: {}", error.body_text()))
    })
}
