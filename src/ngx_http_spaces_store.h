
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What is kept in Redis: Spaces, tokens, due dates.
 */


#ifndef _NGX_HTTP_SPACES_STORE_H_INCLUDED_
#define _NGX_HTTP_SPACES_STORE_H_INCLUDED_


#include "ngx_http_spaces_redis.h"
#include "ngx_http_spaces_token.h"
#include "ngx_http_spaces_zone.h"


/*
 * The beginning of a script that changes a Space: takes it out of the lists
 * that Redis has it in by host, language and topic, whoever changed these since
 * it was read.  KEYS[1] is the Space; ARGV[1] is the prefix of keys, ARGV[2]
 * the id.
 */
#define NGX_HTTP_SPACES_UNLIST_SCRIPT                                         \
    "local had = redis.call('HMGET', KEYS[1], 'host', 'language', 'topics') " \
    "local lists = { 'host:' .. (had[1] or ''), "                             \
                    "'language:' .. string.lower(had[2] or '') } "            \
    "local read, topics = pcall(cjson.decode, had[3] or '[]') "               \
    "if read and type(topics) == 'table' then "                               \
        "for _, topic in ipairs(topics) do "                                  \
            "lists[#lists + 1] = 'topic:' .. tostring(topic) "                \
        "end "                                                                \
    "end "                                                                    \
    "for _, list in ipairs(lists) do "                                        \
        "redis.call('ZREM', ARGV[1] .. list, ARGV[2]) "                       \
    "end "


/* "ok" is 0 if Redis did not take it: to be tried again */
typedef void (*ngx_http_spaces_saved_pt)(void *data, ngx_uint_t ok);


/*
 * A Space has changed, or any may have (NULL): nobody on this node is to use
 * what was read before.
 */
void ngx_http_spaces_store_changed(ngx_http_spaces_main_conf_t *smcf,
    ngx_str_t *id);

/*
 * Adds to a transaction what stores a Space: all its fields, its place in the
 * timeline and among the due dates, and the word that it changed.
 */
ngx_int_t ngx_http_spaces_store_add_space(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space);

/* the keys of the lists it is in by host, language and topic */
ngx_array_t *ngx_http_spaces_store_labels(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_http_spaces_space_t *space);

/* whether its room and its files are this node's, and nobody else's */
ngx_uint_t ngx_http_spaces_store_is_here(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_space_t *space);

/* whether the timeline shows it */
ngx_uint_t ngx_http_spaces_store_is_listed(ngx_http_spaces_space_t *space);

/* likewise a token, by its hash */
ngx_int_t ngx_http_spaces_store_add_token(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *hash, ngx_http_spaces_token_t *token);

/*
 * When the tokens of a host and of who has a ticket end, ms: they outlive all
 * that may still be done with the Space.
 */
int64_t ngx_http_spaces_store_tokens_end(ngx_http_spaces_space_t *space);

/* likewise the word that a Space changed */
ngx_int_t ngx_http_spaces_store_add_changed(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *id);

/* likewise a line of the audit: who did what with a held recording */
ngx_int_t ngx_http_spaces_store_add_audit(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_str_t *id, ngx_str_t *action, ngx_str_t *by);

/* likewise, from the timeline and the due dates, for good: the Space itself */
ngx_int_t ngx_http_spaces_store_add_removal(ngx_http_spaces_main_conf_t *smcf,
    ngx_array_t *commands, ngx_http_spaces_space_t *space);

/* stores a Space, not on behalf of a request; NGX_ERROR: not even sent */
ngx_int_t ngx_http_spaces_store_save(ngx_http_spaces_main_conf_t *smcf,
    ngx_http_spaces_space_t *space, ngx_http_spaces_saved_pt handler,
    void *data);

/* a Space from the reply of HGETALL; NULL if there is none */
ngx_http_spaces_space_t *ngx_http_spaces_store_space(redisReply *reply,
    ngx_pool_t *pool);

/* likewise a token */
ngx_http_spaces_token_t *ngx_http_spaces_store_token(redisReply *reply,
    ngx_pool_t *pool);

/* the key of a Space, and of the set of its tokens */
ngx_str_t ngx_http_spaces_space_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_str_t *id);
ngx_str_t ngx_http_spaces_tokens_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_str_t *id);
ngx_str_t ngx_http_spaces_token_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_str_t *hash);

/* the key of the set of what is live on this node */
ngx_str_t ngx_http_spaces_live_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool);

/* the key of a language's list; tags are the same in any case */
ngx_str_t ngx_http_spaces_language_key(ngx_http_spaces_main_conf_t *smcf,
    ngx_pool_t *pool, ngx_str_t *language);

/* a number as a string in the pool */
ngx_str_t ngx_http_spaces_number(ngx_pool_t *pool, int64_t n);


#endif /* _NGX_HTTP_SPACES_STORE_H_INCLUDED_ */
