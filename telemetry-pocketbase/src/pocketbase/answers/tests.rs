//! Every row with the answers that a real server gave (PocketBase 0.40.6).

use super::*;

/// Classifies the answer to a request of three records.
fn batch(status: u16, body: &str) -> (&'static str, Class) {
    answer(Route::Batch, 3, status, body)
}

fn single(status: u16, body: &str) -> (&'static str, Class) {
    answer(Route::Single, 1, status, body)
}

fn answer(route: Route, count: usize, status: u16, body: &str) -> (&'static str, Class) {
    let reply = Reply {
        status,
        retry_after: None,
        body: body.to_owned(),
    };
    classify(&Seen::new(route, count, &reply))
}

/// The answer of a batch whose item `index` failed.
fn item(index: usize, status: u16, message: &str, data: &str) -> String {
    format!(
        r#"{{"data":{{"requests":{{"{index}":{{"code":"batch_request_failed","message":"Batch request failed.","response":{{"data":{data},"message":"{message}","status":{status}}}}}}}}},"message":"Batch transaction failed.","status":400}}"#
    )
}

fn plain(status: u16, message: &str) -> String {
    format!(r#"{{"data":{{}},"message":"{message}","status":{status}}}"#)
}

const NOT_UNIQUE: &str =
    r#"{"id":{"code":"validation_not_unique","message":"Value must be unique."}}"#;
const BLANK: &str = r#"{"message":{"code":"validation_required","message":"Cannot be blank."}}"#;

#[test]
fn stored_is_what_the_server_confirms_for_each_record() {
    let stored = r#"[{"status":200},{"status":200},{"status":200}]"#;
    assert_eq!(batch(200, stored), ("stored", Class::Stored));
    assert_eq!(single(200, r#"{"id":"abc"}"#), ("stored", Class::Stored));
}

#[test]
fn pages_of_something_in_between_are_never_taken_for_stored() {
    for page in [
        "<html>welcome</html>",
        "",
        "{}",
        "[]",
        r#"[{"status":200}]"#,
    ] {
        assert_eq!(batch(200, page).1, Class::Unclear, "{page}");
        assert_eq!(single(200, page).1, Class::Unclear, "{page}");
    }
    let half = r#"[{"status":200},{"status":400},{"status":200}]"#;
    assert_eq!(batch(200, half).1, Class::Unclear);
    assert_eq!(batch(502, "<html>bad gateway</html>").1, Class::Unclear);
    assert_eq!(batch(403, "<html>forbidden</html>").1, Class::Unclear);
    assert_eq!(batch(404, "<html>not found</html>").1, Class::Unclear);
    assert_eq!(batch(400, "<html>bad request</html>").1, Class::Unclear);
    assert_eq!(single(404, "<html>not found</html>").1, Class::Unclear);
}

#[test]
fn redirect_is_a_wrong_configuration() {
    assert_eq!(batch(301, "").1, Class::Misconfigured);
    assert_eq!(single(308, "").1, Class::Misconfigured);
}

#[test]
fn dead_token_is_401_only_where_a_route_requires_one() {
    let body = plain(
        401,
        "The request requires valid record authorization token.",
    );
    assert_eq!(single(401, &body).1, Class::DeadToken);
}

#[test]
fn failures_without_data_are_doubtful() {
    let create = plain(400, "Failed to create record.");
    assert_eq!(
        single(400, &create),
        ("failed without a reason", Class::Doubtful)
    );
    let transaction = plain(400, "Batch transaction failed.");
    assert_eq!(
        batch(400, &transaction),
        ("failed without a reason", Class::Doubtful)
    );
    let rule = item(0, 400, "Failed to create record.", "{}");
    assert_eq!(batch(400, &rule).1, Class::Doubtful);
    let unknown = plain(400, "Something went wrong while processing your request.");
    assert_eq!(single(400, &unknown).1, Class::Doubtful);
}

#[test]
fn refused_record_is_named_with_its_reason() {
    let reason = "message: validation_required: Cannot be blank.".to_owned();
    let expected = Class::Refused {
        index: 2,
        reason: reason.clone(),
        told: Vec::new(),
    };
    let body = item(2, 400, "Failed to create record.", BLANK);
    assert_eq!(batch(400, &body), ("record refused", expected));
    let body = format!(r#"{{"data":{BLANK},"message":"Failed to create record.","status":400}}"#);
    assert_eq!(
        single(400, &body).1,
        Class::Refused {
            index: 0,
            reason,
            told: Vec::new()
        }
    );
}

#[test]
fn record_that_is_there_already_is_recognised() {
    let body = item(1, 400, "Failed to create record.", NOT_UNIQUE);
    let expected = Class::AlreadyStored { index: 1 };
    assert_eq!(batch(400, &body), ("stored before", expected));
    for code in DUPLICATE_CODES {
        // PocketBase 0.22 calls the status `code`.
        let body = format!(
            r#"{{"code":400,"data":{{"id":{{"code":"{code}","message":"m"}}}},"message":"Failed to create record."}}"#
        );
        assert_eq!(single(400, &body).1, Class::AlreadyStored { index: 0 });
    }
}

#[test]
fn too_many_records_tell_how_many_there_may_be() {
    let body = r#"{"data":{"requests":{"code":"validation_length_too_long","message":"The length must be no more than 50.","params":{"max":50,"min":0}}},"message":"Invalid batch request data.","status":400}"#;
    let expected = Class::TooMany { at_most: Some(50) };
    assert_eq!(
        batch(400, body),
        ("more records than a batch may have", expected)
    );
}

#[test]
fn unreadable_batch_blames_nobody() {
    let body = plain(400, "Failed to read the submitted batch data.");
    assert_eq!(batch(400, &body), ("batch not readable", Class::Unreadable));
}

#[test]
fn too_large_is_413_whoever_says_so() {
    let body = plain(413, "Request entity too large.");
    assert_eq!(batch(413, &body).1, Class::TooLarge);
    assert_eq!(batch(413, "<html>too large</html>").1, Class::TooLarge);
}

#[test]
fn batch_route_may_be_off_or_missing() {
    let body = plain(403, "Batch requests are not allowed.");
    assert_eq!(batch(403, &body).1, Class::NoSuchRoute);
    let body = r#"{"code":404,"message":"Not Found.","data":{}}"#;
    assert_eq!(batch(404, body).1, Class::NoSuchRoute);
}

#[test]
fn missing_collection_or_rights_are_forbidden() {
    let body = item(0, 404, "Missing collection context.", "{}");
    assert_eq!(batch(400, &body), ("no such collection", Class::Forbidden));
    let body = plain(404, "Missing or invalid collection context.");
    assert_eq!(single(404, &body).1, Class::Forbidden);
    let message = "Only superusers can perform this action.";
    assert_eq!(batch(400, &item(0, 403, message, "{}")).1, Class::Forbidden);
    assert_eq!(single(403, &plain(403, message)).1, Class::Forbidden);
    assert_eq!(batch(403, &plain(403, message)).1, Class::Forbidden);
}

#[test]
fn rate_limit_counts_outside_and_inside_a_batch() {
    let outer = plain(429, "Too Many Requests.");
    assert_eq!(batch(429, &outer).1, Class::Limited);
    assert_eq!(single(429, &outer).1, Class::Limited);
    let inner = item(20, 429, "Too Many Requests.", "{}");
    assert_eq!(
        batch(400, &inner),
        ("too many requests inside the batch", Class::LimitedInside)
    );
}

#[test]
fn other_statuses_are_unclear() {
    for status in [408, 418, 500, 502, 503, 504] {
        let body = plain(status, "whatever");
        assert_eq!(
            batch(status, &body),
            ("answer not understood", Class::Unclear)
        );
    }
}

#[test]
fn descriptions_name_row_status_and_message_within_bounds() {
    let reply = Reply {
        status: 400,
        retry_after: None,
        body: plain(400, &"x".repeat(5000)),
    };
    let description = Seen::new(Route::Single, 1, &reply).describe("a row");
    assert!(
        description.starts_with("a row (HTTP 400: xxx"),
        "{description}"
    );
    assert!(description.len() < 300);
}
