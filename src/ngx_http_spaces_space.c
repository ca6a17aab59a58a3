
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_module.h"
#include "ngx_http_spaces_space.h"


typedef enum {
    ngx_http_spaces_field_str = 0,
    ngx_http_spaces_field_int,
    ngx_http_spaces_field_name
} ngx_http_spaces_field_e;


typedef struct {
    ngx_str_t                 name;
    ngx_http_spaces_field_e   type;
    size_t                    offset;
    ngx_str_t                *names;
} ngx_http_spaces_field_t;


static ngx_str_t ngx_http_spaces_path(ngx_str_t *path, const char *folder,
    ngx_str_t *id, const char *suffix, ngx_pool_t *pool);
static json_t *ngx_http_spaces_json_nonzero(int64_t value);


ngx_str_t  ngx_http_spaces_states[] = {
    ngx_string("scheduled"),
    ngx_string("live"),
    ngx_string("ended"),
    ngx_null_string
};


ngx_str_t  ngx_http_spaces_recordings[] = {
    ngx_string("none"),
    ngx_string("recording"),
    ngx_string("available"),
    ngx_string("deleted"),
    ngx_string("expired"),
    ngx_null_string
};


ngx_str_t  ngx_http_spaces_visibilities[] = {
    ngx_string("public"),
    ngx_string("unlisted"),
    ngx_string("ticketed"),
    ngx_null_string
};


#define ngx_http_spaces_str(name)                                             \
    { ngx_string(#name), ngx_http_spaces_field_str,                           \
      offsetof(ngx_http_spaces_space_t, name), NULL }

#define ngx_http_spaces_int(name)                                             \
    { ngx_string(#name), ngx_http_spaces_field_int,                           \
      offsetof(ngx_http_spaces_space_t, name), NULL }

#define ngx_http_spaces_name(name, names)                                     \
    { ngx_string(#name), ngx_http_spaces_field_name,                          \
      offsetof(ngx_http_spaces_space_t, name), names }


static ngx_http_spaces_field_t  ngx_http_spaces_fields[] = {

    ngx_http_spaces_str(id),
    ngx_http_spaces_str(title),
    ngx_http_spaces_str(host),
    ngx_http_spaces_str(topics),
    ngx_http_spaces_str(language),
    ngx_http_spaces_str(price),
    ngx_http_spaces_str(node),

    ngx_http_spaces_name(state, ngx_http_spaces_states),
    ngx_http_spaces_name(recording, ngx_http_spaces_recordings),
    ngx_http_spaces_name(visibility, ngx_http_spaces_visibilities),

    ngx_http_spaces_int(record),
    ngx_http_spaces_int(capacity),
    ngx_http_spaces_int(created_at),
    ngx_http_spaces_int(scheduled_at),
    ngx_http_spaces_int(started_at),
    ngx_http_spaces_int(ended_at),
    ngx_http_spaces_int(expires_at),
    ngx_http_spaces_int(held_at),
    ngx_http_spaces_int(hold_until),
    ngx_http_spaces_int(duration),
    ngx_http_spaces_int(bytes),
    ngx_http_spaces_int(listeners),
    ngx_http_spaces_int(replays),

    ngx_http_spaces_int(replay_ttl),
    ngx_http_spaces_int(hold),
    ngx_http_spaces_int(hold_max),
    ngx_http_spaces_int(reconnect),
    ngx_http_spaces_int(max_duration),
    ngx_http_spaces_int(max_speakers),
    ngx_http_spaces_int(bitrate),
    ngx_http_spaces_int(channels),

    { ngx_null_string, 0, 0, NULL }
};


ngx_int_t
ngx_http_spaces_name_index(ngx_str_t *names, ngx_str_t *name)
{
    ngx_int_t  i;

    for (i = 0; names[i].len; i++) {

        if (names[i].len == name->len
            && ngx_strncmp(names[i].data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_http_spaces_space_set(ngx_http_spaces_space_t *space, ngx_pool_t *pool,
    ngx_str_t *name, ngx_str_t *value)
{
    char                     *p;
    off_t                     n;
    ngx_int_t                 index;
    ngx_str_t                *s;
    ngx_http_spaces_field_t  *field;

    for (field = ngx_http_spaces_fields; field->name.len; field++) {

        if (field->name.len == name->len
            && ngx_strncmp(field->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    p = (char *) space + field->offset;

    if (field->name.len == 0) {
        return NGX_OK;
    }

    switch (field->type) {

    case ngx_http_spaces_field_str:

        s = (ngx_str_t *) p;
        s->len = value->len;
        s->data = ngx_pstrdup(pool, value);

        return (s->data == NULL && value->len) ? NGX_ERROR : NGX_OK;

    case ngx_http_spaces_field_int:

        n = ngx_atoof(value->data, value->len);
        *(int64_t *) p = (n == NGX_ERROR) ? 0 : n;

        return NGX_OK;

    default: /* ngx_http_spaces_field_name */

        index = ngx_http_spaces_name_index(field->names, value);
        *(ngx_uint_t *) p = (index == NGX_ERROR) ? 0 : (ngx_uint_t) index;

        return NGX_OK;
    }
}


ngx_array_t *
ngx_http_spaces_space_fields(ngx_http_spaces_space_t *space, ngx_pool_t *pool)
{
    char                     *p;
    ngx_keyval_t             *kv;
    ngx_array_t              *fields;
    ngx_http_spaces_field_t  *field;

    fields = ngx_array_create(pool, 32, sizeof(ngx_keyval_t));
    if (fields == NULL) {
        return NULL;
    }

    for (field = ngx_http_spaces_fields; field->name.len; field++) {

        kv = ngx_array_push(fields);
        if (kv == NULL) {
            return NULL;
        }

        p = (char *) space + field->offset;
        kv->key = field->name;

        switch (field->type) {

        case ngx_http_spaces_field_str:
            kv->value = *(ngx_str_t *) p;
            break;

        case ngx_http_spaces_field_int:
            kv->value.data = ngx_pnalloc(pool, NGX_INT64_LEN);
            if (kv->value.data == NULL) {
                return NULL;
            }

            kv->value.len = ngx_sprintf(kv->value.data, "%L", *(int64_t *) p)
                            - kv->value.data;
            break;

        default: /* ngx_http_spaces_field_name */
            kv->value = field->names[*(ngx_uint_t *) p];
        }
    }

    return fields;
}


ngx_str_t
ngx_http_spaces_space_document(ngx_http_spaces_space_t *space,
    ngx_pool_t *pool)
{
    char          *text;
    size_t         len;
    json_t        *json;
    ngx_str_t      document;
    ngx_uint_t     i;
    ngx_array_t   *fields;
    ngx_keyval_t  *kv;

    ngx_str_null(&document);

    fields = ngx_http_spaces_space_fields(space, pool);
    if (fields == NULL) {
        return document;
    }

    json = json_object();
    kv = fields->elts;

    for (i = 0; i < fields->nelts; i++) {
        (void) json_object_set_new(json, (char *) kv[i].key.data,
                                 ngx_http_spaces_json_string(&kv[i].value));
    }

    text = json_dumps(json, JSON_INDENT(2));
    json_decref(json);

    if (text == NULL) {
        return document;
    }

    len = ngx_strlen(text);

    if (len <= NGX_HTTP_SPACES_DOCUMENT) {
        document.data = ngx_pnalloc(pool, len);

        if (document.data) {
            ngx_memcpy(document.data, text, len);
            document.len = len;
        }
    }

    free(text);

    return document;
}


ngx_http_spaces_space_t *
ngx_http_spaces_space_parse(ngx_str_t *document, ngx_pool_t *pool)
{
    json_t                   *json, *value;
    ngx_int_t                 rc;
    ngx_str_t                 n, v;
    const char               *name;
    ngx_http_spaces_space_t  *space;

    json = json_loadb((char *) document->data, document->len, 0, NULL);
    if (json == NULL) {
        return NULL;
    }

    rc = NGX_OK;

    space = ngx_pcalloc(pool, sizeof(ngx_http_spaces_space_t));
    if (space == NULL) {
        json_decref(json);
        return NULL;
    }

    json_object_foreach(json, name, value) {

        if (!json_is_string(value)) {
            continue;
        }

        n.data = (u_char *) name;
        n.len = ngx_strlen(name);
        v.data = (u_char *) json_string_value(value);
        v.len = json_string_length(value);

        rc = ngx_http_spaces_space_set(space, pool, &n, &v);
        if (rc != NGX_OK) {
            break;
        }
    }

    json_decref(json);

    if (rc != NGX_OK || !ngx_http_spaces_valid_id(&space->id)) {
        return NULL;
    }

    return space;
}


json_t *
ngx_http_spaces_space_json(ngx_http_spaces_space_t *space, json_t *speakers,
    ngx_uint_t for_host)
{
    json_t  *json;

    json = json_object();
    if (json == NULL) {
        json_decref(speakers);
        return NULL;
    }

#define ngx_http_spaces_put(name, value)                                      \
    (void) json_object_set_new(json, name, value)

    ngx_http_spaces_put("id", ngx_http_spaces_json_string(&space->id));
    ngx_http_spaces_put("title", ngx_http_spaces_json_string(&space->title));
    ngx_http_spaces_put("host", ngx_http_spaces_json_string(&space->host));
    ngx_http_spaces_put("state",
             ngx_http_spaces_json_string(
                                    &ngx_http_spaces_states[space->state]));
    ngx_http_spaces_put("record", json_boolean(space->record));
    ngx_http_spaces_put("recording",
             ngx_http_spaces_json_string(
                            &ngx_http_spaces_recordings[space->recording]));
    ngx_http_spaces_put("topics", ngx_http_spaces_space_topics(space));
    ngx_http_spaces_put("language",
             space->language.len ? ngx_http_spaces_json_string(
                                                          &space->language)
                                 : json_null());
    ngx_http_spaces_put("visibility",
             ngx_http_spaces_json_string(
                         &ngx_http_spaces_visibilities[space->visibility]));
    ngx_http_spaces_put("capacity",
                        ngx_http_spaces_json_nonzero(space->capacity));
    ngx_http_spaces_put("price",
             space->price.len ? ngx_http_spaces_json_string(&space->price)
                              : json_null());
    ngx_http_spaces_put("created_at",
                        ngx_http_spaces_json_time(space->created_at));
    ngx_http_spaces_put("scheduled_at",
                        ngx_http_spaces_json_time(space->scheduled_at));
    ngx_http_spaces_put("started_at",
                        ngx_http_spaces_json_time(space->started_at));
    ngx_http_spaces_put("ended_at",
                        ngx_http_spaces_json_time(space->ended_at));
    ngx_http_spaces_put("expires_at",
                        space->recording != NGX_HTTP_SPACES_NONE
                            ? ngx_http_spaces_json_time(space->expires_at)
                            : json_null());
    ngx_http_spaces_put("duration", space->started_at
                            ? json_real((double) space->duration / 1000)
                            : json_null());
    ngx_http_spaces_put("bytes", space->recording != NGX_HTTP_SPACES_NONE
                            ? json_integer(space->bytes) : json_null());
    ngx_http_spaces_put("listeners", json_integer(space->listeners));
    ngx_http_spaces_put("replays", json_integer(space->replays));
    ngx_http_spaces_put("speakers", speakers);

    if (for_host && space->hold_until) {
        ngx_http_spaces_put("hold_until",
                            ngx_http_spaces_json_time(space->hold_until));
    }

#undef ngx_http_spaces_put

    return json;
}


json_t *
ngx_http_spaces_review_json(ngx_http_spaces_space_t *space)
{
    json_t  *json;

    json = ngx_http_spaces_space_json(space, json_array(), 1);

    (void) json_object_set_new(json, "held_at",
                               ngx_http_spaces_json_time(space->held_at));
    (void) json_object_set_new(json, "reason",
             ngx_http_spaces_json_string(
                           &ngx_http_spaces_recordings[space->recording]));
    (void) json_object_set_new(json, "hold_until",
                               ngx_http_spaces_json_time(space->hold_until));
    return json;
}


json_t *
ngx_http_spaces_space_topics(ngx_http_spaces_space_t *space)
{
    json_t  *topics;

    topics = json_loadb((char *) space->topics.data, space->topics.len, 0,
                        NULL);

    if (topics && json_is_array(topics)) {
        return topics;
    }

    json_decref(topics);

    return json_array();
}


static json_t *
ngx_http_spaces_json_nonzero(int64_t value)
{
    return value ? json_integer(value) : json_null();
}


json_t *
ngx_http_spaces_json_time(int64_t ms)
{
    u_char     *last;
    ngx_tm_t    tm;
    u_char      buf[sizeof("9999-12-31T23:59:59Z")];

    if (ms == 0) {
        return json_null();
    }

    ngx_gmtime((time_t) (ms / 1000), &tm);

    last = ngx_snprintf(buf, sizeof(buf), "%4d-%02d-%02dT%02d:%02d:%02dZ",
                        tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);

    return json_stringn((char *) buf, last - buf);
}


json_t *
ngx_http_spaces_json_string(ngx_str_t *s)
{
    json_t  *json;

    json = json_stringn(s->len ? (char *) s->data : "", s->len);

    return json ? json : json_null();
}


ngx_int_t
ngx_http_spaces_space_paths(ngx_str_t *path, ngx_str_t *id, ngx_pool_t *pool,
    ngx_http_spaces_paths_t *paths)
{
    paths->live = (char *) ngx_http_spaces_live_path(path, id, ".opus",
                                                     pool).data;
    paths->live_json = (char *) ngx_http_spaces_live_path(path, id, ".json",
                                                          pool).data;
    paths->recording = (char *) ngx_http_spaces_recording_path(path, id,
                                                      ".opus", pool).data;
    paths->recording_json = (char *) ngx_http_spaces_recording_path(path, id,
                                                      ".json", pool).data;
    paths->held = (char *) ngx_http_spaces_held_path(path, id, ".opus",
                                                     pool).data;
    paths->held_json = (char *) ngx_http_spaces_held_path(path, id, ".json",
                                                          pool).data;

    paths->live_wave = (char *) ngx_http_spaces_live_path(path, id, ".wave",
                                                          pool).data;
    paths->recording_wave = (char *) ngx_http_spaces_recording_path(path, id,
                                                      ".wave", pool).data;
    paths->held_wave = (char *) ngx_http_spaces_held_path(path, id, ".wave",
                                                          pool).data;

    if (paths->live == NULL || paths->live_json == NULL
        || paths->recording == NULL || paths->recording_json == NULL
        || paths->held == NULL || paths->held_json == NULL
        || paths->live_wave == NULL || paths->recording_wave == NULL
        || paths->held_wave == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_str_t
ngx_http_spaces_live_path(ngx_str_t *path, ngx_str_t *id, const char *suffix,
    ngx_pool_t *pool)
{
    return ngx_http_spaces_path(path, "live/", id, suffix, pool);
}


ngx_str_t
ngx_http_spaces_recording_path(ngx_str_t *path, ngx_str_t *id,
    const char *suffix, ngx_pool_t *pool)
{
    char  folder[sizeof("recordings/xx/")];

    (void) ngx_sprintf((u_char *) folder, "recordings/%c%c/%Z", id->data[0],
                       id->data[1]);

    return ngx_http_spaces_path(path, folder, id, suffix, pool);
}


ngx_str_t
ngx_http_spaces_held_path(ngx_str_t *path, ngx_str_t *id, const char *suffix,
    ngx_pool_t *pool)
{
    return ngx_http_spaces_path(path, "held/", id, suffix, pool);
}


static ngx_str_t
ngx_http_spaces_path(ngx_str_t *path, const char *folder, ngx_str_t *id,
    const char *suffix, ngx_pool_t *pool)
{
    u_char     *last;
    ngx_str_t   name;

    name.len = path->len + 1 + ngx_strlen(folder) + id->len
               + ngx_strlen(suffix);

    name.data = ngx_pnalloc(pool, name.len + 1);
    if (name.data == NULL) {
        ngx_str_null(&name);
        return name;
    }

    last = ngx_sprintf(name.data, "%V/%s%V%s", path, folder, id, suffix);
    *last = '\0';

    return name;
}


int64_t
ngx_http_spaces_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


int64_t
ngx_http_spaces_monotonic(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
