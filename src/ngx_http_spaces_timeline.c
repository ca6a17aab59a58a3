
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * The API's timeline: Spaces by state, topic, language and host, newest
 * first.  A cursor is the place of the last one shown, so that Spaces that
 * come and go shift nothing.
 */


#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_load.h"


#define NGX_HTTP_SPACES_LIMIT      20
#define NGX_HTTP_SPACES_MAX_LIMIT  100

/* Spaces looked at in one round, and rounds for one answer */
#define NGX_HTTP_SPACES_ROUND      128
#define NGX_HTTP_SPACES_ROUNDS     4


typedef struct {
    ngx_uint_t               held;         /* for review */
    ngx_int_t                state;        /* -1: any */
    ngx_str_t                topic;
    ngx_str_t                language;
    ngx_str_t                host;
    ngx_uint_t               limit;

    ngx_uint_t               nkeys;
    ngx_str_t                keys[3];

    ngx_http_spaces_place_t  cursor;       /* behind this; id.len 0: start */
    ngx_array_t              places;       /* of this round */
    ngx_uint_t               count;        /* looked at in a round */
    ngx_uint_t               rounds;
    ngx_uint_t               last;         /* no more after this round */

    json_t                  *list;
} ngx_http_spaces_timeline_t;


static ngx_int_t ngx_http_spaces_timeline_arguments(ngx_http_request_t *r,
    ngx_http_spaces_timeline_t *tl);
static ngx_int_t ngx_http_spaces_timeline_known(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_timeline_keys(ngx_http_request_t *r,
    ngx_http_spaces_timeline_t *tl);
static ngx_int_t ngx_http_spaces_timeline_round(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_timeline_places(ngx_http_request_t *r,
    redisReply *reply);
static int ngx_libc_cdecl ngx_http_spaces_timeline_compare(const void *one,
    const void *two);
static ngx_int_t ngx_http_spaces_timeline_spaces(ngx_http_request_t *r,
    redisReply *reply);
static ngx_uint_t ngx_http_spaces_timeline_matches(
    ngx_http_spaces_timeline_t *tl, ngx_http_spaces_space_t *space);
static ngx_int_t ngx_http_spaces_timeline_answer(ngx_http_request_t *r,
    ngx_uint_t more);
static void ngx_http_spaces_timeline_cleanup(void *data);


#define ngx_http_spaces_same(a, b)                                            \
    ((a)->len == (b)->len && ngx_strncmp((a)->data, (b)->data, (a)->len) == 0)


ngx_int_t
ngx_http_spaces_timeline(ngx_http_request_t *r, ngx_uint_t held)
{
    ngx_int_t                    rc;
    ngx_pool_cleanup_t          *cln;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_timeline_t  *tl;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_timeline_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    tl = cln->data;
    ngx_memzero(tl, sizeof(ngx_http_spaces_timeline_t));

    cln->handler = ngx_http_spaces_timeline_cleanup;

    ctx->data = tl;

    tl->held = held;
    tl->count = NGX_HTTP_SPACES_ROUND;
    tl->list = json_array();
    if (tl->list == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_timeline_arguments(r, tl);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_spaces_timeline_keys(r, tl) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_spaces_timeline_round(r);
}


static void
ngx_http_spaces_timeline_cleanup(void *data)
{
    ngx_http_spaces_timeline_t  *tl = data;

    json_decref(tl->list);
}


/* NGX_DECLINED, or the answer */

static ngx_int_t
ngx_http_spaces_timeline_arguments(ngx_http_request_t *r,
    ngx_http_spaces_timeline_t *tl)
{
    ngx_int_t   n, rc;
    ngx_str_t   state, limit, cursor;
    ngx_uint_t  i;

    const struct {
        const char  *name;
        ngx_str_t   *value;
    } args[] = {
        { "state", &state },
        { "limit", &limit },
        { "cursor", &cursor },
        { "topic", &tl->topic },
        { "language", &tl->language },
        { "host", &tl->host }
    };

    rc = ngx_http_spaces_timeline_known(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    /* one that is empty is as none */

    for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        ngx_str_null(args[i].value);

        if (ngx_http_spaces_arg(r, args[i].name, args[i].value, &rc)
            == NGX_ABORT)
        {
            return rc;
        }
    }

    tl->state = -1;
    tl->limit = NGX_HTTP_SPACES_LIMIT;

    if (state.len) {
        tl->state = ngx_http_spaces_name_index(ngx_http_spaces_states, &state);

        if (tl->state == NGX_ERROR) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                           "\"state\" must be \"scheduled\", "
                                           "\"live\" or \"ended\"");
        }
    }

    if (limit.len) {
        n = ngx_atoi(limit.data, limit.len);

        if (n < 1 || n > NGX_HTTP_SPACES_MAX_LIMIT) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                           "\"limit\" must be from 1 to %d",
                                           NGX_HTTP_SPACES_MAX_LIMIT);
        }

        tl->limit = (ngx_uint_t) n;
    }

    if (cursor.len
        && ngx_http_spaces_cursor_read(r->pool, &cursor, &tl->cursor) != NGX_OK)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "\"cursor\" must be the \"next\" of an "
                                       "answer before");
    }

    if (tl->topic.len > NGX_HTTP_SPACES_MAX_NAME * 4
        || tl->language.len > NGX_HTTP_SPACES_MAX_NAME * 4
        || tl->host.len > NGX_HTTP_SPACES_MAX_NAME * 4)
    {
        return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                       "no topic, language or host is as long "
                                       "as that");
    }

    return NGX_DECLINED;
}


/* a filter that is misspelt would show what wasn't meant */

static ngx_int_t
ngx_http_spaces_timeline_known(ngx_http_request_t *r)
{
    size_t       len;
    u_char      *p, *end, *last;
    ngx_uint_t   i;

    static ngx_str_t  names[] = {
        ngx_string("state"),
        ngx_string("topic"),
        ngx_string("language"),
        ngx_string("host"),
        ngx_string("cursor"),
        ngx_string("limit"),
        ngx_string("token"),        /* of who asks */
        ngx_null_string
    };

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        for (len = 0; p + len < end && p[len] != '='; len++) { /* void */ }

        if (p == end) {
            continue;
        }

        for (i = 0; names[i].len; i++) {

            if (names[i].len == len
                && ngx_strncasecmp(names[i].data, p, len) == 0)
            {
                break;
            }
        }

        if (names[i].len == 0) {
            return ngx_http_spaces_problem(r, NGX_HTTP_SPACES_BAD_REQUEST,
                                           "\"%*s\" is no argument of the "
                                           "timeline", ngx_min(len, 64), p);
        }
    }

    return NGX_DECLINED;
}


/* the narrowest list there is; without one all three states */

static ngx_int_t
ngx_http_spaces_timeline_keys(ngx_http_request_t *r,
    ngx_http_spaces_timeline_t *tl)
{
    ngx_uint_t                    i;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    tl->nkeys = 1;

    if (tl->held) {
        tl->keys[0] = ngx_http_spaces_redis_key(smcf, r->pool, "held");

    } else if (tl->host.len) {
        tl->keys[0] = ngx_http_spaces_redis_key(smcf, r->pool, "host:%V",
                                                &tl->host);

    } else if (tl->topic.len) {
        tl->keys[0] = ngx_http_spaces_redis_key(smcf, r->pool, "topic:%V",
                                                &tl->topic);

    } else if (tl->state != -1) {
        tl->keys[0] = ngx_http_spaces_redis_key(smcf, r->pool, "%V",
                                        &ngx_http_spaces_states[tl->state]);

    } else if (tl->language.len) {
        tl->keys[0] = ngx_http_spaces_language_key(smcf, r->pool,
                                                   &tl->language);

    } else {
        for (tl->nkeys = 0; tl->nkeys < 3; tl->nkeys++) {
            tl->keys[tl->nkeys] = ngx_http_spaces_redis_key(smcf, r->pool,
                                   "%V", &ngx_http_spaces_states[tl->nkeys]);
        }
    }

    for (i = 0; i < tl->nkeys; i++) {
        if (tl->keys[i].data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_timeline_round(ngx_http_request_t *r)
{
    ngx_str_t                    max, count;
    ngx_uint_t                   i;
    ngx_array_t                 *commands;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_timeline_t  *tl;

    static ngx_str_t  zrevrangebyscore = ngx_string("ZREVRANGEBYSCORE");
    static ngx_str_t  withscores = ngx_string("WITHSCORES");
    static ngx_str_t  limit = ngx_string("LIMIT");
    static ngx_str_t  zero = ngx_string("0");
    static ngx_str_t  min = ngx_string("-inf");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    tl = ctx->data;

    if (tl->cursor.id.len) {
        max = ngx_http_spaces_number(r->pool, tl->cursor.score);

    } else {
        ngx_str_set(&max, "+inf");
    }

    count = ngx_http_spaces_number(r->pool, (int64_t) tl->count);
    commands = ngx_array_create(r->pool, 4, sizeof(ngx_array_t));

    if (max.data == NULL || count.data == NULL || commands == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < tl->nkeys; i++) {
        if (ngx_http_spaces_redis_add(commands, 8, &zrevrangebyscore,
                                      &tl->keys[i], &max, &min, &withscores,
                                      &limit, &zero, &count)
            == NULL)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_spaces_request_reads(r, commands,
                                         ngx_http_spaces_timeline_places);
}


static ngx_int_t
ngx_http_spaces_timeline_places(ngx_http_request_t *r, redisReply *reply)
{
    size_t                        i, j;
    ngx_str_t                     key;
    redisReply                   *list;
    ngx_array_t                  *commands;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_place_t       place, floor, *p;
    ngx_http_spaces_timeline_t   *tl;
    ngx_http_spaces_main_conf_t  *smcf;

    static ngx_str_t  hgetall = ngx_string("HGETALL");

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    tl = ctx->data;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != tl->nkeys
        || ngx_array_init(&tl->places, r->pool, NGX_HTTP_SPACES_ROUND,
                          sizeof(ngx_http_spaces_place_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    tl->last = 1;
    floor.score = 0;
    ngx_str_null(&floor.id);

    for (i = 0; i < reply->elements; i++) {
        list = reply->element[i];

        if (list->type != REDIS_REPLY_ARRAY) {
            continue;
        }

        if (list->elements >= 2 * tl->count) {
            tl->last = 0;
        }

        ngx_str_null(&place.id);

        for (j = 0; j + 1 < list->elements; j += 2) {

            if (list->element[j]->type != REDIS_REPLY_STRING
                || list->element[j + 1]->type != REDIS_REPLY_STRING)
            {
                continue;
            }

            place.id.data = (u_char *) list->element[j]->str;
            place.id.len = list->element[j]->len;
            place.score = ngx_atoof((u_char *) list->element[j + 1]->str,
                                    list->element[j + 1]->len);

            if (!ngx_http_spaces_valid_id(&place.id)
                || (tl->cursor.id.len
                    && ngx_http_spaces_timeline_compare(&place, &tl->cursor)
                       <= 0))
            {
                continue;
            }

            p = ngx_array_push(&tl->places);
            if (p == NULL) {
                return NGX_ERROR;
            }

            p->score = place.score;
            p->id.len = place.id.len;
            p->id.data = ngx_pstrdup(r->pool, &place.id);

            if (p->id.data == NULL) {
                return NGX_ERROR;
            }
        }

        /* the newest of the ends */

        if (list->elements >= 2 * tl->count && place.id.len
            && (floor.id.len == 0
                || ngx_http_spaces_timeline_compare(&place, &floor) < 0))
        {
            floor = place;
        }
    }

    ngx_qsort(tl->places.elts, tl->places.nelts,
              sizeof(ngx_http_spaces_place_t),
              ngx_http_spaces_timeline_compare);

    /* what is older than the end of a list cut short has gaps before it */

    p = tl->places.elts;

    while (floor.id.len && tl->places.nelts
           && ngx_http_spaces_timeline_compare(&p[tl->places.nelts - 1],
                                               &floor)
              > 0)
    {
        tl->places.nelts--;
    }

    if (tl->places.nelts == 0) {

        if (tl->last) {
            return ngx_http_spaces_timeline_answer(r, 0);
        }

        /* all of them are as old as the cursor, and before it */

        tl->count *= 2;

        return ngx_http_spaces_timeline_round(r);
    }

    commands = ngx_array_create(r->pool, tl->places.nelts,
                                sizeof(ngx_array_t));
    if (commands == NULL) {
        return NGX_ERROR;
    }

    p = tl->places.elts;

    for (i = 0; i < tl->places.nelts; i++) {
        key = ngx_http_spaces_space_key(smcf, r->pool, &p[i].id);

        if (key.data == NULL
            || ngx_http_spaces_redis_add(commands, 2, &hgetall, &key) == NULL)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_spaces_request_reads(r, commands,
                                         ngx_http_spaces_timeline_spaces);
}


/* newest first, as ZREVRANGEBYSCORE has it: by id where the time is the same */

static int ngx_libc_cdecl
ngx_http_spaces_timeline_compare(const void *one, const void *two)
{
    const ngx_http_spaces_place_t  *a = one;
    const ngx_http_spaces_place_t  *b = two;

    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }

    return ngx_memcmp(b->id.data, a->id.data, NGX_HTTP_SPACES_ID_LEN);
}


static ngx_int_t
ngx_http_spaces_timeline_spaces(ngx_http_request_t *r, redisReply *reply)
{
    size_t                        i;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_space_t      *space;
    ngx_http_spaces_place_t      *p;
    ngx_http_spaces_room_info_t   info;
    ngx_http_spaces_timeline_t   *tl;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);
    tl = ctx->data;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != tl->places.nelts)
    {
        return NGX_ERROR;
    }

    p = tl->places.elts;

    for (i = 0; i < reply->elements; i++) {

        if (json_array_size(tl->list) == tl->limit) {
            return ngx_http_spaces_timeline_answer(r, 1);
        }

        tl->cursor = p[i];

        space = ngx_http_spaces_store_space(reply->element[i], r->pool);

        if (space == NULL) {
            continue;
        }

        (void) ngx_http_spaces_zone_overlay(smcf->zone, space, &info);

        if (ngx_http_spaces_timeline_matches(tl, space)) {
            (void) json_array_append_new(tl->list,
                              tl->held
                                  ? ngx_http_spaces_review_json(space)
                                  : ngx_http_spaces_describe(r, space, 0));
        }
    }

    if (tl->last) {
        return ngx_http_spaces_timeline_answer(r, 0);
    }

    if (++tl->rounds == NGX_HTTP_SPACES_ROUNDS
        || json_array_size(tl->list) == tl->limit)
    {
        return ngx_http_spaces_timeline_answer(r, 1);
    }

    return ngx_http_spaces_timeline_round(r);
}


static ngx_uint_t
ngx_http_spaces_timeline_matches(ngx_http_spaces_timeline_t *tl,
    ngx_http_spaces_space_t *space)
{
    size_t       i;
    json_t      *topics, *topic;
    ngx_str_t    s;
    ngx_uint_t   found;

    if (!(tl->held ? ngx_http_spaces_is_held(space)
                   : ngx_http_spaces_store_is_listed(space))
        || (tl->state != -1 && (ngx_uint_t) tl->state != space->state)
        || (tl->language.len
            && (tl->language.len != space->language.len
                || ngx_strncasecmp(tl->language.data, space->language.data,
                                   tl->language.len)
                   != 0))
        || (tl->host.len && !ngx_http_spaces_same(&tl->host, &space->host))
        || (!tl->held && space->state == NGX_HTTP_SPACES_ENDED
            && space->expires_at <= ngx_http_spaces_now()))
    {
        return 0;
    }

    if (tl->topic.len == 0) {
        return 1;
    }

    found = 0;
    topics = ngx_http_spaces_space_topics(space);

    json_array_foreach(topics, i, topic) {
        s.data = (u_char *) json_string_value(topic);
        s.len = json_string_length(topic);

        found |= ngx_http_spaces_same(&tl->topic, &s);
    }

    json_decref(topics);

    return found;
}


static ngx_int_t
ngx_http_spaces_timeline_answer(ngx_http_request_t *r, ngx_uint_t more)
{
    json_t                      *next;
    ngx_str_t                    text;
    ngx_http_spaces_ctx_t       *ctx;
    ngx_http_spaces_timeline_t  *tl;
    u_char                       buf[NGX_HTTP_SPACES_CURSOR_LEN];

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    tl = ctx->data;

    next = json_null();

    if (more) {
        text.data = buf;

        ngx_http_spaces_cursor_write(&tl->cursor, &text);

        next = ngx_http_spaces_json_string(&text);
    }

    return ngx_http_spaces_answer(r, NGX_HTTP_OK,
                                  json_pack("{s:O, s:o}", "spaces", tl->list,
                                            "next", next));
}
