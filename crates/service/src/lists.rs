//! Lists of resources.
//!
//! Not here: what conditions mean and which index serves them (`engine::list`).

use crate::{Ctx, Error, ResourcePage, Service, types::ServedType};
use bytes::Bytes;
use ringback_engine::{list, tokens::PageKey};
use ringback_model::{ResourceId, limits};
use ringback_ports::store::{ResourceQuery, ResourceRow};

/// Rows of a list that are in memory at once: they may be large.
const ROWS_AT_ONCE: usize = 256;

/// How a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ListQuery<'a> {
    /// The parameter `filter`.
    pub filter: Option<&'a str>,
    /// Parameters that are conditions on fields.
    pub params: &'a [(String, String)],
    /// Rows of a page.
    pub limit: usize,
    /// The cursor of the page before.
    pub after: Option<&'a str>,
}

impl Service {
    /// One page of a list: newest first.
    ///
    /// # Errors
    /// `List` (a filter that does not fit), `QueryTooExpensive`, cursor errors.
    pub async fn list_resources(&self, ctx: &Ctx, ty: &ServedType, query: ListQuery<'_>) -> Result<ResourcePage, Error> {
        let tenant = ctx.tenant()?;
        let decl = &ty.compiled.decl;
        if !ctx.authority().covers(decl.access.read) {
            return Ok(ResourcePage { rows: Vec::new(), next_cursor: None });
        }
        let ListQuery { filter, params, limit, after } = query;
        let conditions = list::conditions(&ty.compiled, filter, params).map_err(Error::List)?;
        let spelled = list::spelled(&conditions);
        let route = [decl.path.as_str(), "list", spelled.as_str()];
        let mut from = match self.page_key(ctx, &route, after)? {
            None => None,
            Some(PageKey::Created { at, id }) => Some((at, ResourceId::parse(&id).map_err(|_| Error::CursorMismatch)?)),
            Some(_) => return Err(Error::CursorMismatch),
        };
        let equal = list::plan(decl, &conditions).equal;
        let (mut rows, mut bytes): (Vec<Bytes>, usize) = (Vec::new(), 0);
        let mut scanned = 0;
        // With a filter that only this loop applies, small steps would read many times.
        let step = if conditions.is_everything() { limit.saturating_add(1).min(ROWS_AT_ONCE) } else { ROWS_AT_ONCE };
        let more = 'pages: loop {
            let query = ResourceQuery {
                tenant: tenant.clone(),
                type_name: decl.name.clone(),
                equal: equal.clone(),
                after: from.clone(),
                limit: step,
            };
            let page = self.inner.store.resources(query).await?;
            let ended = page.len() < step;
            for ResourceRow { resource, .. } in page {
                scanned += 1;
                if list::matches(&conditions, &resource) {
                    if rows.len() == limit || bytes >= limits::PAGE_BYTES_MAX {
                        break 'pages true;
                    }
                    let row = resource.encode();
                    bytes += row.len();
                    rows.push(row);
                }
                from = Some((resource.created_at, resource.id));
            }
            if ended {
                break false;
            }
            if scanned >= limits::ROWS_SCANNED_MAX {
                if rows.len() == limit {
                    // This page is whole; whether there is a next one, it will say.
                    break true;
                }
                return Err(Error::QueryTooExpensive { missing_index: list::missing_index(decl, &conditions), scanned });
            }
        };
        let next_cursor = from.filter(|_| more).map(|(at, id)| self.page_cursor(ctx, &route, &PageKey::Created { at, id: id.to_string() }));
        Ok(ResourcePage { rows, next_cursor })
    }
}
