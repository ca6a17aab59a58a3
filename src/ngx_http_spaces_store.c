
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_store.h"


/* how long after its last moment a live Space is taken for forgotten, ms */
#define NGX_HTTP_SPACES_FORGOTTEN  300000


typedef struct {
    ngx_http_spaces_saved_pt      handler;
    void                         *data;
    ngx_http_spaces_main_conf_t  *smcf;
    ngx_str_t                     id;
    u_char                        id_data[NGX_HTTP_SPACES_ID_LEN];
} ngx_http_spaces_saving_t;


static void ngx_http_spaces_saving_handler(void *data, redisReply *reply);


/* in the order of ngx_http_spaces_role_e */

ngx_str_t  ngx_http_spaces_roles[] = {
    ngx_string("nobody"),
    ngx_string("share"),
    ngx_string("ticket"),
    ngx_string("speaker"),
    ngx_string("host"),
    ngx_null_string
};


void
ngx_http_spaces_store_changed(ngx_http_spaces_main_conf_t *smcf, ngx_str_t *id)
{
    ngx_uint_t              i;
    ngx_http_spaces_shm_t  *sh;

    sh = smcf->zone->sh;

    if (id) {
        (void) ngx_atomic_fetch_add(
                          ngx_http_spaces_zone_change(smcf->zone, id), 1);
    }

    for (i = 0; id == NULL && i < NGX_HTTP_SPACES_CHANGES; i++) {
        (void) ngx_atomic_fetch_add(&sh->changes[i], 1);
    }

    (void) ngx_atomic_fetch_add(&sh->any_change, 1);
}


ngx_http_spaces_space_t *
ngx_http_spaces_store_space(redisReply *reply, ngx_pool_t *pool)
{
    size_t                    i;
    ngx_str_t                 name, value;
    redisReply              **e;
    ngx_http_spaces_space_t  *space;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
        return NULL;
    }

    space = ngx_pcalloc(pool, sizeof(ngx_http_spaces_space_t));
    if (space == NULL) {
        return NULL;
    }

    e = reply->element;

    for (i = 0; i + 1 < reply->elements; i += 2) {

        if (e[i]->type != REDIS_REPLY_STRING
            || e[i + 1]->type != REDIS_REPLY_STRING)
        {
            return NULL;
        }

        name.data = (u_char *) e[i]->str;
        name.len = e[i]->len;
        value.data = (u_char *) e[i + 1]->str;
        value.len = e[i + 1]->len;

        if (ngx_http_spaces_space_set(space, pool, &name, &value) != NGX_OK) {
            return NULL;
        }
    }

    return ngx_http_spaces_valid_id(&space->id) ? space : NULL;
}


ngx_http_spaces_token_t *
ngx_http_spaces_store_token(redisReply *reply, ngx_pool_t *pool)
{
    size_t                    i;
    ngx_int_t                 kind;
    ngx_str_t                 value;
    redisReply              **e;
    ngx_http_spaces_token_t  *token;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
        return NULL;
    }

    token = ngx_pcalloc(pool, sizeof(ngx_http_spaces_token_t));
    if (token == NULL) {
        return NULL;
    }

    e = reply->element;

    for (i = 0; i + 1 < reply->elements; i += 2) {

        if (e[i]->type != REDIS_REPLY_STRING
            || e[i + 1]->type != REDIS_REPLY_STRING)
        {
            return NULL;
        }

        value.data = (u_char *) e[i + 1]->str;
        value.len = e[i + 1]->len;

        if (ngx_strcmp(e[i]->str, "space") == 0) {
            token->space.len = value.len;
            token->space.data = ngx_pstrdup(pool, &value);

        } else if (ngx_strcmp(e[i]->str, "label") == 0) {
            token->label.len = value.len;
            token->label.data = ngx_pstrdup(pool, &value);

        } else if (ngx_strcmp(e[i]->str, "created_at") == 0) {
            token->created_at = ngx_atoof(value.data, value.len);

        } else if (ngx_strcmp(e[i]->str, "expires_at") == 0) {
            token->expires_at = ngx_atoof(value.data, value.len);

        } else if (ngx_strcmp(e[i]->str, "start") == 0) {
            token->start = ngx_atoof(value.data, value.len);

        } else if (ngx_strcmp(e[i]->str, "end") == 0) {
            token->end = ngx_atoof(value.data, value.len);

        } else if (ngx_strcmp(e[i]->str, "muted") == 0) {
            token->muted = (value.len == 1 && value.data[0] == '1');

        } else if (ngx_strcmp(e[i]->str, "removed") == 0) {
            token->removed = (value.len == 1 && value.data[0] == '1');

        } else if (ngx_strcmp(e[i]->str, "kind") == 0) {

            kind = ngx_http_spaces_name_index(ngx_http_spaces_roles, &value);

            if (kind != NGX_ERROR) {
                token->kind = (ngx_http_spaces_role_e) kind;
            }
        }
    }

    if (token->space.data == NULL || !ngx_http_spaces_valid_id(&token->space)
        || token->kind == NGX_HTTP_SPACES_NOBODY)
    {
        return NULL;
    }

    return token;
}


ngx_str_t
ngx_http_spaces_space_key(ngx_http_spaces_main_conf_t *smcf, ngx_pool_t *pool,
    ngx_str_t *id)
{
    return ngx_http_spaces_redis_key(smcf, pool, "space:{%V}", id);
}


ngx_str_t
ngx_http_spaces_tokens_key(ngx_http_spaces_main_conf_t *smcf, ngx_pool_t *pool,
    ngx_str_t *id)
{
    return ngx_http_spaces_redis_key(smcf, pool, "space:{%V}:tokens", id);
}


ngx_str_t
ngx_http_spaces_token_key(ngx_http_spaces_main_conf_t *smcf, ngx_pool_t *pool,
    ngx_str_t *hash)
{
    return ngx_http_spaces_redis_key(smcf, pool, "token:%V", hash);
}


ngx_str_t
ngx_http_spaces_language_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_str_t *language)
{
    ngx_str_t  key;

    key = ngx_http_spaces_redis_key(smcf, pool, "language:%V", language);

    if (key.data) {
        ngx_strlow(key.data + key.len - language->len,
                   key.data + key.len - language->len, language->len);
    }

    return key;
}


ngx_str_t
ngx_http_spaces_live_key(ngx_http_spaces_main_conf_t *smcf, ngx_pool_t *pool)
{
    return ngx_http_spaces_redis_key(smcf, pool, "live:%V", &smcf->node);
}


ngx_str_t
ngx_http_spaces_number(ngx_pool_t *pool, int64_t n)
{
    ngx_str_t  s;

    s.data = ngx_pnalloc(pool, NGX_INT64_LEN);

    if (s.data == NULL) {
        s.len = 0;
        return s;
    }

    s.len = ngx_sprintf(s.data, "%L", n) - s.data;

    return s;
}


#define ngx_http_spaces_add(...)                                              \
    if (ngx_http_spaces_redis_add(commands, __VA_ARGS__) == NULL) {           \
        return NGX_ERROR;                                                     \
    }


static ngx_str_t  ngx_http_spaces_del = ngx_string("DEL");
static ngx_str_t  ngx_http_spaces_xadd = ngx_string("XADD");
static ngx_str_t  ngx_http_spaces_hset = ngx_string("HSET");
static ngx_str_t  ngx_http_spaces_hsetnx = ngx_string("HSETNX");
static ngx_str_t  ngx_http_spaces_sadd = ngx_string("SADD");
static ngx_str_t  ngx_http_spaces_srem = ngx_string("SREM");
static ngx_str_t  ngx_http_spaces_zadd = ngx_string("ZADD");
static ngx_str_t  ngx_http_spaces_zrem = ngx_string("ZREM");
static ngx_str_t  ngx_http_spaces_publish = ngx_string("PUBLISH");
static ngx_str_t  ngx_http_spaces_expireat = ngx_string("EXPIREAT");


/*
 * The sorted sets that a Space is found by: in "zset", or out of it.  All are
 * by the time of creation, so a place in a list does not move.
 */

static ngx_int_t
ngx_http_spaces_store_index(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space, ngx_uint_t in,
    ngx_str_t *zset)
{
    ngx_str_t    score;
    ngx_pool_t  *pool;

    pool = commands->pool;

    if (zset->data == NULL) {
        return NGX_ERROR;
    }

    if (!in) {
        ngx_http_spaces_add(3, &ngx_http_spaces_zrem, zset, &space->id);
        return NGX_OK;
    }

    score = ngx_http_spaces_number(pool, space->created_at);

    ngx_http_spaces_add(4, &ngx_http_spaces_zadd, zset, &score, &space->id);

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_store_states(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space, ngx_uint_t in)
{
    ngx_str_t   key;
    ngx_uint_t  state;

    for (state = 0; ngx_http_spaces_states[state].len; state++) {

        key = ngx_http_spaces_redis_key(smcf, commands->pool, "%V",
                                        &ngx_http_spaces_states[state]);

        if (ngx_http_spaces_store_index(smcf, commands, space,
                                        in && state == space->state, &key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_array_t *
ngx_http_spaces_store_labels(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_http_spaces_space_t *space)
{
    size_t        i;
    json_t       *topics, *topic;
    ngx_str_t    *list, name;
    ngx_array_t  *lists;

    lists = ngx_array_create(pool, 8, sizeof(ngx_str_t));
    if (lists == NULL) {
        return NULL;
    }

    if (space->host.len) {
        list = ngx_array_push(lists);
        if (list == NULL) {
            return NULL;
        }

        *list = ngx_http_spaces_redis_key(smcf, pool, "host:%V", &space->host);
    }

    if (space->language.len) {
        list = ngx_array_push(lists);
        if (list == NULL) {
            return NULL;
        }

        *list = ngx_http_spaces_language_key(smcf, pool, &space->language);
    }

    topics = ngx_http_spaces_space_topics(space);

    json_array_foreach(topics, i, topic) {
        name.data = (u_char *) json_string_value(topic);
        name.len = json_string_length(topic);

        list = ngx_array_push(lists);
        if (list == NULL) {
            break;
        }

        *list = ngx_http_spaces_redis_key(smcf, pool, "topic:%V", &name);
    }

    json_decref(topics);

    list = lists->elts;

    for (i = 0; i < lists->nelts; i++) {
        if (list[i].data == NULL) {
            return NULL;
        }
    }

    return lists;
}


static ngx_int_t
ngx_http_spaces_store_list(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space)
{
    ngx_str_t    *list;
    ngx_uint_t    i;
    ngx_array_t  *lists;

    lists = ngx_http_spaces_store_labels(smcf, commands->pool, space);
    if (lists == NULL) {
        return NGX_ERROR;
    }

    list = lists->elts;

    for (i = 0; i < lists->nelts; i++) {

        if (ngx_http_spaces_store_index(smcf, commands, space, 1, &list[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_spaces_store_unlist(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space)
{
    ngx_str_t  key;

    static ngx_str_t  eval = ngx_string("EVAL");
    static ngx_str_t  script = ngx_string(NGX_HTTP_SPACES_UNLIST_SCRIPT);
    static ngx_str_t  one = ngx_string("1");

    key = ngx_http_spaces_space_key(smcf, commands->pool, &space->id);
    if (key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_spaces_add(6, &eval, &script, &one, &key,
                        &smcf->redis_conf.prefix, &space->id);

    return NGX_OK;
}


/* those that moderators are shown */

static ngx_int_t
ngx_http_spaces_store_held(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space, ngx_uint_t in)
{
    ngx_str_t  key;

    key = ngx_http_spaces_redis_key(smcf, commands->pool, "held");

    return ngx_http_spaces_store_index(smcf, commands, space,
                                       in && ngx_http_spaces_is_held(space),
                                       &key);
}


/* all that are live here, those that no timeline shows among them */

static ngx_int_t
ngx_http_spaces_store_live(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space, ngx_uint_t in)
{
    ngx_str_t  key;

    key = ngx_http_spaces_live_key(smcf, commands->pool);
    if (key.data == NULL) {
        return NGX_ERROR;
    }

    in = in && space->state == NGX_HTTP_SPACES_LIVE;

    ngx_http_spaces_add(3, in ? &ngx_http_spaces_sadd : &ngx_http_spaces_srem,
                        &key, &space->id);

    return NGX_OK;
}


ngx_uint_t
ngx_http_spaces_store_is_here(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_space_t *space)
{
    return space->node.len == smcf->node.len
           && ngx_strncmp(space->node.data, smcf->node.data, smcf->node.len)
              == 0;
}


ngx_uint_t
ngx_http_spaces_store_is_listed(ngx_http_spaces_space_t *space)
{
    return space->visibility != NGX_HTTP_SPACES_UNLISTED
           && !ngx_http_spaces_is_held(space);
}


ngx_int_t
ngx_http_spaces_store_add_space(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space)
{
    int64_t        due;
    ngx_str_t      key, score;
    ngx_uint_t     i, listed;
    ngx_pool_t    *pool;
    ngx_array_t   *command, *fields;
    ngx_keyval_t  *kv, *replays;

    static ngx_str_t  replays_field = ngx_string("replays");

    pool = commands->pool;

    key = ngx_http_spaces_space_key(smcf, pool, &space->id);
    fields = ngx_http_spaces_space_fields(space, pool);

    if (key.data == NULL || fields == NULL
        || ngx_http_spaces_store_unlist(smcf, commands, space) != NGX_OK)
    {
        return NGX_ERROR;
    }

    command = ngx_http_spaces_redis_add(commands, 2, &ngx_http_spaces_hset,
                                        &key);
    if (command == NULL) {
        return NGX_ERROR;
    }

    kv = fields->elts;
    replays = NULL;

    for (i = 0; i < fields->nelts; i++) {

        if (kv[i].key.len == replays_field.len
            && ngx_strncmp(kv[i].key.data, replays_field.data,
                           replays_field.len)
               == 0)
        {
            replays = &kv[i];
            continue;
        }

        if (ngx_http_spaces_redis_push(command, &kv[i].key) != NGX_OK
            || ngx_http_spaces_redis_push(command, &kv[i].value) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* counted in Redis alone: ours is of use if that has forgotten its own */

    if (replays) {
        ngx_http_spaces_add(4, &ngx_http_spaces_hsetnx, &key, &replays->key,
                            &replays->value);
    }

    listed = ngx_http_spaces_store_is_listed(space);

    if (ngx_http_spaces_store_states(smcf, commands, space, listed) != NGX_OK
        || ngx_http_spaces_store_held(smcf, commands, space, 1) != NGX_OK
        || ngx_http_spaces_store_live(smcf, commands, space, 1) != NGX_OK
        || (listed
            && ngx_http_spaces_store_list(smcf, commands, space) != NGX_OK))
    {
        return NGX_ERROR;
    }

    /* the next step: a Space that never begins goes as well */

    due = space->hold_until ? space->hold_until : space->expires_at;

    if (space->state == NGX_HTTP_SPACES_SCHEDULED) {
        due = ngx_max(space->created_at, space->scheduled_at)
              + space->replay_ttl * 1000;

    } else if (space->state == NGX_HTTP_SPACES_LIVE) {

        /* only if its end were forgotten, for want of all that knew of it */

        due = space->started_at + (space->max_duration + space->reconnect)
                                  * 1000
              + NGX_HTTP_SPACES_FORGOTTEN;
    }

    key = ngx_http_spaces_redis_key(smcf, pool, "due:%V", &smcf->node);
    if (key.data == NULL) {
        return NGX_ERROR;
    }

    if (due) {
        score = ngx_http_spaces_number(pool, (due + 999) / 1000);
        ngx_http_spaces_add(4, &ngx_http_spaces_zadd, &key, &score,
                            &space->id);

    } else {
        ngx_http_spaces_add(3, &ngx_http_spaces_zrem, &key, &space->id);
    }

    return ngx_http_spaces_store_add_changed(smcf, commands, &space->id);
}


ngx_int_t
ngx_http_spaces_store_add_token(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *hash, ngx_http_spaces_token_t *token)
{
    ngx_str_t    key, set, created, expires, seconds, start, end;
    ngx_pool_t  *pool;

    static ngx_str_t  space_field = ngx_string("space");
    static ngx_str_t  kind_field = ngx_string("kind");
    static ngx_str_t  label_field = ngx_string("label");
    static ngx_str_t  created_field = ngx_string("created_at");
    static ngx_str_t  expires_field = ngx_string("expires_at");
    static ngx_str_t  start_field = ngx_string("start");
    static ngx_str_t  end_field = ngx_string("end");

    pool = commands->pool;

    key = ngx_http_spaces_token_key(smcf, pool, hash);
    set = ngx_http_spaces_tokens_key(smcf, pool, &token->space);
    created = ngx_http_spaces_number(pool, token->created_at);
    expires = ngx_http_spaces_number(pool, token->expires_at);
    seconds = ngx_http_spaces_number(pool, (token->expires_at + 999) / 1000);

    if (key.data == NULL || set.data == NULL || created.data == NULL
        || expires.data == NULL || seconds.data == NULL)
    {
        return NGX_ERROR;
    }

    ngx_http_spaces_add(12, &ngx_http_spaces_hset, &key,
                        &space_field, &token->space,
                        &kind_field, &ngx_http_spaces_roles[token->kind],
                        &label_field, &token->label,
                        &created_field, &created,
                        &expires_field, &expires);

    if (token->end) {
        start = ngx_http_spaces_number(pool, token->start);
        end = ngx_http_spaces_number(pool, token->end);

        if (start.data == NULL || end.data == NULL) {
            return NGX_ERROR;
        }

        ngx_http_spaces_add(6, &ngx_http_spaces_hset, &key,
                            &start_field, &start, &end_field, &end);
    }

    ngx_http_spaces_add(3, &ngx_http_spaces_expireat, &key, &seconds);
    ngx_http_spaces_add(3, &ngx_http_spaces_sadd, &set, hash);

    return NGX_OK;
}


int64_t
ngx_http_spaces_store_tokens_end(ngx_http_spaces_space_t *space)
{
    return ngx_max(space->created_at, space->scheduled_at)
           + (2 * space->replay_ttl + space->max_duration + space->hold_max)
             * 1000;
}


ngx_int_t
ngx_http_spaces_store_add_changed(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *id)
{
    ngx_str_t  channel;

    channel = ngx_http_spaces_redis_key(smcf, commands->pool, "changed");
    if (channel.data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_spaces_add(3, &ngx_http_spaces_publish, &channel, id);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_store_add_audit(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *id, ngx_str_t *action, ngx_str_t *by)
{
    ngx_str_t    key, at;
    ngx_pool_t  *pool;

    static ngx_str_t  any = ngx_string("*");
    static ngx_str_t  at_field = ngx_string("at");
    static ngx_str_t  action_field = ngx_string("action");
    static ngx_str_t  space_field = ngx_string("space");
    static ngx_str_t  by_field = ngx_string("by");
    static ngx_str_t  node_field = ngx_string("node");

    pool = commands->pool;

    key = ngx_http_spaces_redis_key(smcf, pool, "audit");
    at = ngx_http_spaces_number(pool, ngx_http_spaces_now());

    if (key.data == NULL || at.data == NULL) {
        return NGX_ERROR;
    }

    ngx_http_spaces_add(13, &ngx_http_spaces_xadd, &key, &any,
                        &at_field, &at, &action_field, action,
                        &space_field, id, &by_field, by,
                        &node_field, &smcf->node);

    return NGX_OK;
}


ngx_int_t
ngx_http_spaces_store_add_removal(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space)
{
    ngx_str_t    key, set, due;
    ngx_pool_t  *pool;

    /* tokens have names in them */

    static ngx_str_t  eval = ngx_string("EVAL");
    static ngx_str_t  one = ngx_string("1");
    static ngx_str_t  script = ngx_string(
        "for _, hash in ipairs(redis.call('SMEMBERS', KEYS[1])) do "
            "redis.call('DEL', ARGV[1] .. 'token:' .. hash) "
        "end"
    );

    pool = commands->pool;

    key = ngx_http_spaces_space_key(smcf, pool, &space->id);
    set = ngx_http_spaces_tokens_key(smcf, pool, &space->id);
    due = ngx_http_spaces_redis_key(smcf, pool, "due:%V", &smcf->node);

    if (key.data == NULL || set.data == NULL || due.data == NULL
        || ngx_http_spaces_store_unlist(smcf, commands, space) != NGX_OK
        || ngx_http_spaces_store_states(smcf, commands, space, 0) != NGX_OK
        || ngx_http_spaces_store_held(smcf, commands, space, 0) != NGX_OK
        || ngx_http_spaces_store_live(smcf, commands, space, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_spaces_add(5, &eval, &script, &one, &set,
                        &smcf->redis_conf.prefix);
    ngx_http_spaces_add(3, &ngx_http_spaces_del, &key, &set);
    ngx_http_spaces_add(3, &ngx_http_spaces_zrem, &due, &space->id);

    return ngx_http_spaces_store_add_changed(smcf, commands, &space->id);
}


ngx_int_t
ngx_http_spaces_store_save(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_space_t *space, ngx_http_spaces_saved_pt handler,
    void *data)
{
    ngx_int_t                  rc;
    ngx_pool_t                *pool;
    ngx_array_t               *commands;
    ngx_http_spaces_saving_t  *saving;

    pool = ngx_create_pool(8192, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    saving = ngx_alloc(sizeof(ngx_http_spaces_saving_t), ngx_cycle->log);
    commands = ngx_array_create(pool, 16, sizeof(ngx_array_t));

    if (saving == NULL || commands == NULL
        || ngx_http_spaces_store_add_space(smcf, commands, space) != NGX_OK)
    {
        goto done;
    }

    saving->handler = handler;
    saving->data = data;
    saving->smcf = smcf;
    saving->id.data = saving->id_data;
    saving->id.len = space->id.len;
    ngx_memcpy(saving->id_data, space->id.data, space->id.len);

    if (ngx_http_spaces_redis_transaction(smcf->redis, commands,
                                          ngx_http_spaces_saving_handler,
                                          saving))
    {
        saving = NULL;
        rc = NGX_OK;
    }

done:

    if (saving) {
        ngx_free(saving);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_http_spaces_saving_handler(void *data, redisReply *reply)
{
    ngx_http_spaces_saving_t  *saving = data;

    ngx_http_spaces_store_changed(saving->smcf, &saving->id);

    saving->handler(saving->data,
                    reply && reply->type == REDIS_REPLY_ARRAY);

    ngx_free(saving);
}
