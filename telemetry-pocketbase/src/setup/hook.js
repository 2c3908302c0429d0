// Takes the logs of sync-daemon in bulk: one statement for a whole upload.
// For PocketBase 0.23 and later; read when the server starts. Written by
// `sync-daemon pocketbase files`; changes are overwritten by the next one.
//
// GET  /api/sync-daemon/hook               which version this is
// POST /api/sync-daemon/v1/{collection}    an array of records; answers what became of each.
//                                          ?count=N, if the client says how many, saves counting

routerAdd("GET", "/api/sync-daemon/hook", (e) => {
  return e.json(200, {
    hook: "sync-daemon",
    version: @VERSION@,
    accepts: [@VERSION@],
    collection: "@COLLECTION@",
    retentionDays: @RETENTION_DAYS@,
  });
});

routerAdd("POST", "/api/sync-daemon/v1/@COLLECTION@", (e) => {
  const body = toString(e.request.body);
  // What the collection demands, checked by hand: the statement below goes past the
  // checks of the server. The first rule that a record breaks is its reason.
  // Taking a value out of a record is what costs most here: MATERIALIZED has each taken out
  // once, and not wherever it is named. What is not a text has no text's type then.
  const rules = `
    WITH incoming AS MATERIALIZED (
      SELECT key AS position, type,
        json_extract(value, '$.id') AS id, json_extract(value, '$.message') AS message,
        json_extract(value, '$.timestamp') AS timestamp, json_extract(value, '$.level') AS level,
        json_extract(value, '$.target') AS target, json_extract(value, '$.module_path') AS module_path,
        json_extract(value, '$.file') AS file, json_extract(value, '$.line') AS line,
        json_extract(value, '$.fields') AS fields, json_extract(value, '$.spans') AS spans,
        json_extract(value, '$.daemon_id') AS daemon_id, json_extract(value, '$.session_id') AS session_id,
        json_extract(value, '$.seq') AS seq
      FROM json_each({:body})
    ), judged AS (
      SELECT *, CASE
        WHEN type <> 'object' THEN 'record: validation_invalid_value: it is no object'
        WHEN typeof(id) <> 'text' OR length(id) <> 15 OR id GLOB '*[^a-z0-9]*'
          THEN 'id: validation_invalid_format: it is not 15 characters of a-z and 0-9'
        WHEN timestamp IS NULL OR datetime(timestamp) IS NULL OR length(timestamp) > @MAX_ID_TEXT@
          OR timestamp NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*Z'
          THEN 'timestamp: validation_required: it is no time'
        WHEN level IS NULL OR level NOT IN ('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR')
          THEN 'level: validation_invalid_value: it is no level'
        WHEN typeof(message) <> 'text' OR message = '' THEN 'message: validation_required: it is empty'
        WHEN length(message) > @MAX_TEXT@ THEN 'message: validation_max_text_constraint: it is too long'
        WHEN length(target) > @MAX_TEXT@ THEN 'target: validation_max_text_constraint: it is too long'
        WHEN length(module_path) > @MAX_TEXT@ THEN 'module_path: validation_max_text_constraint: it is too long'
        WHEN length(file) > @MAX_TEXT@ THEN 'file: validation_max_text_constraint: it is too long'
        WHEN coalesce(daemon_id, '') = '' OR length(daemon_id) > @MAX_ID_TEXT@
          THEN 'daemon_id: validation_required: it is empty or too long'
        WHEN coalesce(session_id, '') = '' OR length(session_id) > @MAX_ID_TEXT@
          THEN 'session_id: validation_required: it is empty or too long'
        WHEN octet_length(fields) > @MAX_JSON@ THEN 'fields: validation_json_size_limit: it is too large'
        WHEN octet_length(spans) > @MAX_JSON@ THEN 'spans: validation_json_size_limit: it is too large'
      END AS reason
      FROM incoming
    )`;
  const insert = `${rules}
    INSERT OR IGNORE INTO @COLLECTION@
      (id, timestamp, level, message, target, module_path, file, line, fields, spans,
       daemon_id, session_id, seq, timestamp_exact, created)
    SELECT id,
      substr(timestamp, 1, 10) || ' ' || substr(timestamp, 12, 8) || '.'
        || substr(rtrim(substr(timestamp, 21), 'Z') || '000', 1, 3) || 'Z',
      level, message, coalesce(target, ''), coalesce(module_path, ''), coalesce(file, ''),
      coalesce(line, 0), fields, spans, daemon_id, session_id, coalesce(seq, 0),
      timestamp, strftime('%Y-%m-%d %H:%M:%fZ', 'now')
    FROM judged WHERE reason IS NULL`;
  const broken = `${rules}
    SELECT position, reason FROM judged WHERE reason IS NOT NULL ORDER BY position`;
  const absent = `${rules}
    SELECT position, 'record: validation_constraint: the table refuses it' AS reason FROM judged
    WHERE reason IS NULL AND NOT EXISTS (SELECT 1 FROM @COLLECTION@ AS known WHERE known.id = judged.id)`;
  const rows = (db, query) => {
    const found = arrayOf(new DynamicModel({ position: 0, reason: "" }));
    db.newQuery(query).bind({ body: body }).all(found);
    return found.map((row) => ({ position: row.position, reason: row.reason }));
  };

  const length = (db) => {
    const counted = new DynamicModel({ count: 0 });
    db.newQuery("SELECT json_array_length({:body}) AS count").bind({ body: body }).one(counted);
    return counted.count;
  };

  let count = parseInt(e.request.url.query().get("count"), 10);
  let stored = 0;
  let refused = [];
  try {
    $app.runInTransaction((transaction) => {
      const db = transaction.db();
      stored = db.newQuery(insert).bind({ body: body }).execute().rowsAffected();
      if (stored === count) {
        return;
      }
      count = length(db);
      if (stored === count) {
        return;
      }
      // IGNORE passes over a record that is there already, and also over one that breaks
      // a constraint of the table: so look whether all are there that should be.
      refused = rows(db, broken).concat(rows(db, absent));
    });
  } catch (error) {
    try {
      length($app.db());
    } catch (unreadable) {
      throw new BadRequestError("Failed to read the records.");
    }
    throw error;
  }
  const known = count - stored - refused.length;
  return e.json(200, { version: @VERSION@, count: count, stored: stored, known: known, refused: refused });
}, $apis.requireAuth(@AUTH_COLLECTIONS@));
@RETENTION@
