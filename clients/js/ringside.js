/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client of ringside.v1: one user's events, in order, each exactly once, over connections that
 * come and go.
 *
 * States   idle → connecting → replaying → live
 *          any of these → waiting → connecting   (the connection was lost and will be made again)
 *          any of these → stopped                (a close code said so; connect() begins anew)
 *
 * Order of work for each event: chain check, position moves, handlers run, and only later (at most
 * once per ackIntervalMs) the server is told and the cursor is stored. So an acknowledged event was
 * handled, and a crash in between repeats events to the application but never skips one.
 *
 * Each connection has a generation; whatever an older one still has to say is not listened to.
 *
 * Another view (subscribe) is asked for on the open connection. The reply is the seam: what comes
 * before it is of the old view and passed over. A server that refuses is asked again through a
 * fresh connection, which can begin anew where a cursor cannot be honoured.
 */

import { Backoff } from './backoff.js';
import { Chain } from './chain.js';
import { refusal } from './handshake.js';
import { Link } from './link.js';
import {
    LOCAL_CODES, RingsideError, START, SUBPROTOCOL, closeAction, connectionUrl, newId, parseCursor,
    stopError,
} from './protocol.js';
import { Requests } from './requests.js';
import { CursorStore } from './storage.js';
import { TokenSource, claims, refreshDelay } from './token.js';
import { ToolHost } from './tool-host.js';

export { LOCAL_CODES, RingsideError, newId } from './protocol.js';

const CONTROL = new Set(['welcome', 'gap', 'snapshot', 'caught_up', 'going_away', 'token_expiring']);
/* Said whatever the view is; all else belongs to one. */
const OF_CONNECTION = new Set(['going_away', 'token_expiring']);
const DEFAULT_HEARTBEAT_MS = 25_000;
const STABLE_MS = 5_000;
const CHAT_TIMEOUT_MS = 60_000;

function systemEnv() {
    return {
        now: () => Date.now(),
        random: Math.random,
        setTimeout: (action, ms) => setTimeout(action, ms),
        clearTimeout: (timer) => clearTimeout(timer),
    };
}

/** A frame over the server's limit would cost the whole connection (1009); it is not sent. */
function tooLarge(frame, limit) {
    if (!(limit > 0)) return null;
    const bytes = new TextEncoder().encode(JSON.stringify(frame)).length;
    if (bytes <= limit) return null;
    return new RingsideError('payload_too_large', `${bytes} bytes; the server takes ${limit}`);
}

export class RingsideClient {
    #options;
    #env;
    #token;
    #chain;
    #store = null;
    #remembered;
    #backoff;
    #requests;
    #listeners = new Map();
    #generation = 0;
    #link = null;
    #welcome = null;
    #welcomedAt = null;
    #caughtUp = false;
    #restarted = false;
    #state = 'idle';
    #userId = null;
    #usedToken = '';
    #tokenReason = 'connect';
    #comeBackAt = null;
    #retryTimer = null;
    #mayHurry = false;
    #refreshTimer = null;
    #progressTimer = null;
    #acked = 0;
    #seam = null; /* while another view was asked for: {id, timer} */
    #views = 0;
    #unlisten = null;
    #tools;

    counters = { events: 0, duplicates: 0, gaps: 0, lost: 0, reconnects: 0, badFrames: 0 };

    /**
     * url       ws(s)://host/v1/ws
     * token     a JWT, or an async function ({reason}) => JWT that is asked at every connect
     * cursor    "<epoch>.<seq>", "start", or undefined: what `storage` has, else live from now
     * storage   keeps the cursor under the token's user (sessionStorage in a page)
     * threads   only these threads; all when empty
     * snapshots what open runs show comes first on a live view too, not only after a gap
     * The rest have defaults: WebSocket, fetch (null: never diagnose a refused handshake), page
     * (the window whose going away flushes), env (clock, timers, random), and times in
     * milliseconds.
     */
    constructor(options) {
        const defaults = {
            threads: [], snapshots: false, WebSocket: globalThis.WebSocket, fetch: globalThis.fetch?.bind(globalThis),
            page: globalThis.document ? globalThis : null, requestTimeoutMs: 10_000,
            welcomeTimeoutMs: 10_000, ackIntervalMs: 1_000,
            backoffBaseMs: 250, backoffCapMs: 15_000,
        };
        this.#options = { ...defaults, ...options };
        if (typeof this.#options.WebSocket !== 'function')
            throw new TypeError('no WebSocket constructor here: pass one as options.WebSocket');
        this.#env = options.env ?? systemEnv();
        this.#token = new TokenSource(options.token);
        this.#chain = new Chain(options.cursor);
        this.#backoff = new Backoff({
            baseMs: this.#options.backoffBaseMs, capMs: this.#options.backoffCapMs,
            random: this.#env.random,
        });
        this.#tools = new ToolHost((answer) => this.#answerTool(answer));
        this.#requests = new Requests({
            env: this.#env,
            send: (frame) => this.#link?.send(frame),
            refuse: (frame) => tooLarge(frame, this.#welcome?.limits?.max_frame),
        });
    }

    get state() { return this.#state; }
    get welcome() { return this.#welcome; }
    get userId() { return this.#userId; }
    get epoch() { return this.#chain.epoch; }
    get lastSeq() { return this.#chain.last; }
    get cursor() { return this.#chain.cursor; }
    get pendingRequests() { return this.#requests.size; }

    /**
     * Listen to event, state, gap, reset, caughtup, control or error; returns the undo function.
     */
    on(name, handler) {
        const handlers = this.#listeners.get(name) ?? new Set();
        this.#listeners.set(name, handlers.add(handler));
        return () => handlers.delete(handler);
    }

    connect() {
        if (this.#state !== 'idle' && this.#state !== 'stopped') return;
        this.#listenToPage();
        this.#backoff.reset();
        this.#tokenReason = 'connect';
        this.#open();
    }

    /** Close for good; what still waits for a reply fails with `closed`. */
    close() {
        this.#leave();
        this.#requests.rejectAll(new RingsideError(LOCAL_CODES.closed, 'the client was closed'));
        this.#setState('idle', { reason: 'closed by the application' });
    }

    /** Lose the connection on purpose; the client reconnects and resumes. */
    drop() {
        this.#link?.drop('dropped on purpose');
    }

    /**
     * Change the view: as a fresh connection with this cursor and filter would begin, on the one
     * that is open. From now on only the new view is heard.
     */
    subscribe({ cursor, threads = [] } = {}) {
        const chain = new Chain(cursor);
        this.flush();
        this.#chain = chain;
        this.#options.threads = threads;
        this.#acked = 0;
        if (this.#state === 'idle' || this.#state === 'stopped') return;
        if (!this.#welcome || !this.#askForView(cursor)) this.#openAnew();
    }

    request(method, params = {}, { timeoutMs = this.#options.requestTimeoutMs } = {}) {
        if (method === 'subscribe' || method === 'ack') {
            return Promise.reject(new RingsideError('invalid_argument',
                `${method} belongs to the client; use its own function`));
        }
        if (this.#state === 'stopped') {
            return Promise.reject(new RingsideError(LOCAL_CODES.closed, 'the client is stopped',
                { retryable: true }));
        }
        return this.#requests.call(method, params, timeoutMs);
    }

    /**
     * Start a run. Sent again after a lost connection with the same message_id: one run, whatever
     * happens.
     */
    chatSend(params, { timeoutMs = CHAT_TIMEOUT_MS } = {}) {
        const messageId = params.message_id ?? newId('m', this.#env.random);
        const message = { ...params, message_id: messageId };
        return this.request('chat.send', message, { timeoutMs });
    }

    cancelRun(params) { return this.request('run.cancel', params); }

    /**
     * Does the calls of a tool of `kind: client`: fn(args, {run_id, tool_call_id}) gives the result,
     * or a promise of it; what it throws is the tool's error, `code` and `message`. Returns the
     * function that undoes it.
     */
    onTool(name, fn) { return this.#tools.offer(name, fn); }

    respondInterrupt(params) { return this.request('interrupt.respond', params); }
    listRuns(params) { return this.request('runs.list', params); }
    getRun(runId) { return this.request('run.get', { run_id: runId }); }
    ping() { return this.request('ping'); }

    /** Ask the token function and renew the session in-band. */
    async refreshToken() {
        const generation = this.#generation;
        const token = await this.#token.get('expiring');
        const result = await this.request('auth.refresh', { token });
        if (generation === this.#generation) {
            this.#usedToken = token;
            this.#scheduleRefresh();
        }
        return result;
    }

    /** Tell the server and the storage now how far this client has come. */
    flush() {
        this.#env.clearTimeout(this.#progressTimer);
        this.#progressTimer = null;
        const seq = this.#chain.last;
        if (seq === null) return;
        this.#store?.save(this.#chain.cursor);
        if (seq <= this.#acked || !this.#welcome || this.#seam) return;
        if (this.#link?.send({ method: 'ack', params: { seq } })) this.#acked = seq;
    }

    /* ---- connecting ---- */

    async #open() {
        this.#generation += 1;
        const generation = this.#generation;
        this.#mayHurry = false;
        this.#setState('connecting');
        let token;
        try {
            token = await this.#token.get(this.#tokenReason);
        } catch (error) {
            if (generation === this.#generation) this.#tokenFailed(error);
            return;
        }
        if (generation !== this.#generation) return;
        this.#usedToken = token;
        this.#openStore(claims(token).sub);
        this.#openLink(generation, token);
    }

    #tokenFailed(error) {
        this.#emit('error', error);
        this.#waitThenOpen({ code: 1006, reason: error.message, delayMs: this.#backoff.next() });
    }

    #openStore(user) {
        if (this.#store || !this.#options.storage) return;
        this.#store = new CursorStore(this.#options.storage, user ?? 'anyone');
        const saved = this.#store.load();
        if (this.#options.cursor === START) this.#remembered = saved;
        else if (this.#options.cursor === undefined && saved) this.#chain = new Chain(saved);
    }

    #openLink(generation, token) {
        const current = (action) => (value) => {
            if (generation === this.#generation) action(value);
        };
        try {
            this.#link = new Link({
                env: this.#env, WebSocket: this.#options.WebSocket,
                url: connectionUrl(this.#options.url,
                    {
                        cursor: this.#chain.cursor, threads: this.#options.threads,
                        snapshots: this.#options.snapshots,
                    }),
                protocols: [SUBPROTOCOL, `bearer.${token}`],
                welcomeTimeoutMs: this.#options.welcomeTimeoutMs,
                handlers: {
                    onFrame: current((text) => this.#frame(text)),
                    onClose: current((close) => this.#lost(close)),
                },
            });
        } catch (cause) {
            /* an address or a token that no socket can be made of: trying again cannot help */
            const error = new RingsideError('invalid_argument', cause.message, { cause });
            this.#emit('error', error);
            this.#stop({ code: 4400, reason: error.message });
        }
    }

    #leave() {
        this.flush();
        this.#generation += 1;
        this.#forgetConnection();
        this.#link?.end();
        this.#link = null;
        this.#env.clearTimeout(this.#retryTimer);
        this.#unlisten?.();
        this.#unlisten = null;
    }

    #openAnew() {
        this.#leave();
        this.#listenToPage();
        this.#open();
    }

    /** False when the connection does not take it. */
    #askForView(cursor) {
        const { threads, snapshots, requestTimeoutMs } = this.#options;
        const id = `view-${this.#views += 1}`;
        const params = { cursor, threads, ...(snapshots ? { snapshots } : {}) };
        const frame = { id, method: 'subscribe', params };
        if (tooLarge(frame, this.#welcome.limits?.max_frame) || !this.#link.send(frame)) return false;
        this.#forgetView();
        const timer = this.#env.setTimeout(() => this.#link.drop('no reply to subscribe in time'),
            requestTimeoutMs);
        this.#seam = { id, timer };
        this.#setState('replaying');
        return true;
    }

    /** The reply to the last subscribe; replies to earlier ones begin views that are passed over. */
    #atSeam({ result, error }) {
        this.#env.clearTimeout(this.#seam.timer);
        this.#seam = null;
        if (error) this.#openAnew();
        else this.#take(result);
    }

    /** What was of the view so far, and is not of the connection. */
    #forgetView() {
        this.#env.clearTimeout(this.#seam?.timer);
        this.#seam = null;
        this.#env.clearTimeout(this.#progressTimer);
        this.#progressTimer = null;
        this.#caughtUp = false;
        this.#tools.connecting();
    }

    #forgetConnection() {
        this.#requests.disconnected();
        this.#env.clearTimeout(this.#refreshTimer);
        this.#welcome = null;
        this.#forgetView();
    }

    /** Another client was first, or the run has ended: nobody needs the result any more. */
    async #answerTool(answer) {
        try {
            await this.respondInterrupt(answer);
        } catch (error) {
            if (!['already_resolved', 'already_finished', 'run_not_found'].includes(error.code))
                this.#emit('error', error);
        }
    }

    /* ---- frames ---- */

    #frame(text) {
        let frame;
        try {
            frame = JSON.parse(text);
        } catch (cause) {
            this.#badFrame('a frame is not JSON', cause);
            return;
        }
        if (frame === null || typeof frame !== 'object') this.#badFrame('a frame is not an object');
        else if (typeof frame.type !== 'string') this.#reply(frame);
        else if (this.#seam && !OF_CONNECTION.has(frame.type)) return;
        else if (CONTROL.has(frame.type) || !Number.isSafeInteger(frame.seq)) this.#control(frame);
        else this.#event(frame, text);
    }

    #reply(frame) {
        if (this.#seam && frame.id === this.#seam.id) this.#atSeam(frame);
        else this.#requests.reply(frame);
    }

    #badFrame(message, cause) {
        this.counters.badFrames += 1;
        this.#emit('error', new RingsideError(LOCAL_CODES.badFrame, message, { cause }));
    }

    #event(event, text) {
        if (!this.#welcome) {
            this.#badFrame('an event came before the welcome');
            this.#link.drop('an event came before the welcome');
            return;
        }
        const verdict = this.#chain.accept(event);
        if (verdict === 'duplicate') {
            this.counters.duplicates += 1;
        } else if (verdict === 'gap') {
            this.#detectedGap(event);
        } else {
            this.counters.events += 1;
            this.#backoff.reset();
            this.#emit('event', event, text);
            this.#tools.event(event);
            this.#progress();
        }
    }

    #detectedGap({ seq, prev }) {
        const { low, high } = this.#chain.expected;
        const bounds = prev > high ? { from: high + 1, to: prev } : { from: prev + 1, to: low };
        this.#gap({ kind: 'detected', reason: 'chain_broken', ...bounds, seq, prev });
        this.#link?.drop('gap in the chain of events');
    }

    #gap(gap) {
        this.counters.gaps += 1;
        this.#emit('gap', { ...gap, cursor: this.#chain.cursor });
    }

    #control(frame) {
        switch (frame.type) {
        case 'welcome': this.#welcomed(frame); break;
        case 'gap': this.#announcedGap(frame); break;
        case 'snapshot': this.#tools.snapshot(frame); break;
        case 'caught_up': this.#chain.caughtUp(frame.seq, this.#options.threads.length > 0); break;
        case 'going_away':
            this.#comeBackAt = this.#env.now() + (frame.reconnect_after_ms ?? 0);
            break;
        case 'token_expiring': this.#refreshInTime(); break;
        default: break;
        }
        this.#emit('control', frame);
        if (frame.type === 'caught_up' || (frame.type === 'welcome' && frame.resume === 'live'))
            this.#nowLive(frame.seq ?? frame.head);
    }

    #welcomed(welcome) {
        if (this.#userId !== null && welcome.user_id !== this.#userId) {
            this.#stop({ code: 4403, reason: 'the new token names another user' });
            return;
        }
        this.#userId = welcome.user_id;
        this.#welcome = welcome;
        this.#welcomedAt = this.#env.now();
        this.#tokenReason = 'connect';
        this.#comeBackAt = null;
        this.#take(welcome);
        this.#compareWithRemembered(welcome);
        const { heartbeat_ms: heartbeatMs } = welcome;
        this.#link.established(heartbeatMs > 0 ? heartbeatMs : DEFAULT_HEARTBEAT_MS);
        this.#scheduleRefresh();
        this.#setState('replaying', { resume: welcome.resume });
        this.#requests.connected();
    }

    /**
     * Take the position where the new view begins; in live mode there is nothing to acknowledge
     * yet.
     */
    #take(welcome) {
        const previous = this.#chain.epoch;
        const fromNow = this.#chain.cursor === undefined;
        this.#restarted = this.#chain.begin(welcome);
        if (this.#restarted) this.#reset(previous, 'epoch_changed');
        else if (fromNow) this.#acked = this.#chain.last;
    }

    /** A view from the start cannot show what was trimmed while this tab was away: say it here. */
    #compareWithRemembered({ epoch, oldest = 0 }) {
        const was = parseCursor(this.#remembered);
        this.#remembered = undefined;
        if (!was) return;
        const from = was.seq + 1;
        if (was.epoch !== String(epoch))
            this.#gap({ kind: 'remembered', reason: 'epoch_changed', from });
        else if (oldest > from)
            this.#lostRange({ kind: 'remembered', reason: 'trimmed', from, to: oldest - 1 });
    }

    #announcedGap({ from, to, reason }) {
        if (reason === 'epoch_changed') {
            this.#gap({ kind: 'announced', reason, from, to });
            if (!this.#restarted) {
                this.#startOver(reason);
                this.#link.drop('the stream has a new epoch');
            }
            return;
        }
        this.#chain.skip(to);
        this.#lostRange({ kind: 'announced', reason, from, to });
        this.#progress();
    }

    #lostRange(gap) {
        this.counters.lost += Math.max(0, gap.to - gap.from + 1);
        this.#gap(gap);
    }

    #startOver(reason) {
        const previous = this.#chain.epoch;
        this.#chain.restart();
        this.#reset(previous, reason);
    }

    /** What was built from the events so far is void: they belong to a stream that is gone. */
    #reset(previous, reason) {
        this.#acked = 0;
        this.#tools.reset();
        this.#emit('reset', { previous, epoch: this.#chain.epoch, reason });
    }

    #nowLive(seq) {
        if (this.#caughtUp || !this.#welcome) return;
        this.#caughtUp = true;
        this.#progress();
        this.#setState('live');
        this.#tools.caughtUp();
        this.#emit('caughtup', { seq });
    }

    #progress() {
        const { ackIntervalMs } = this.#options;
        this.#progressTimer ??= this.#env.setTimeout(() => this.flush(), ackIntervalMs);
    }

    /* ---- losing the connection ---- */

    #lost({ code, reason, opened }) {
        const lasted = this.#welcome && this.#env.now() - this.#welcomedAt >= STABLE_MS;
        if (lasted) this.#backoff.reset();
        this.flush();
        this.#link = null;
        this.#forgetConnection();
        this.#decide({ code, reason });
        if (!opened && this.#state === 'waiting') this.#diagnose();
    }

    #decide({ code, reason, floorMs = 0 }) {
        const rule = closeAction(code);
        const askToken = rule.action === 'token' && this.#token.refreshable
            && this.#tokenReason !== 'refused';
        if (rule.action === 'stop' || (rule.action === 'token' && !askToken)) {
            this.#stop({ code, reason });
            return;
        }
        if (askToken) this.#tokenReason = 'refused';
        if (rule.action === 'restart') this.#startOver('state_lost');
        const floor = Math.max(floorMs, rule.floorMs ?? 0);
        const delayMs = this.#comeBackAt === null ? this.#backoff.next(floor)
            : Math.max(0, this.#comeBackAt - this.#env.now());
        this.#mayHurry = this.#comeBackAt === null && floor === 0;
        this.#comeBackAt = null;
        this.#waitThenOpen({ code, reason, delayMs });
    }

    #waitThenOpen({ code, reason, delayMs }) {
        this.#env.clearTimeout(this.#retryTimer);
        this.#retryTimer = this.#env.setTimeout(() => this.#retry(), delayMs);
        this.#setState('waiting', { code, reason, delayMs });
    }

    #retry() {
        this.#env.clearTimeout(this.#retryTimer);
        this.counters.reconnects += 1;
        this.#open();
    }

    /** The wait goes on meanwhile; a refusal that was learned in time replaces it. */
    async #diagnose() {
        const { fetch, url } = this.#options;
        const generation = this.#generation;
        if (!fetch) return;
        const refused = await refusal({ fetch, url, token: this.#usedToken, env: this.#env });
        if (!refused || generation !== this.#generation || this.#state !== 'waiting') return;
        this.#env.clearTimeout(this.#retryTimer);
        this.#emit('error', refused.error);
        const { code, floorMs, error } = refused;
        this.#decide({ code, reason: error.message, floorMs });
    }

    #stop({ code, reason }) {
        this.#leave();
        this.#setState('stopped', { code, reason });
        this.#requests.rejectAll(stopError(code, reason));
    }

    /* ---- token, page, listeners ---- */

    #scheduleRefresh() {
        this.#env.clearTimeout(this.#refreshTimer);
        const { exp } = claims(this.#usedToken);
        if (!this.#token.refreshable || typeof exp !== 'number') return;
        this.#refreshTimer = this.#env.setTimeout(() => {
            this.refreshToken().catch((error) => this.#emit('error', error));
        }, refreshDelay(exp * 1000, this.#env.now()));
    }

    /** The server's clock says that it is time, whatever this one says. */
    #refreshInTime() {
        if (!this.#token.refreshable) return;
        this.#env.clearTimeout(this.#refreshTimer);
        this.refreshToken().catch((error) => this.#emit('error', error));
    }

    #listenToPage() {
        const { page } = this.#options;
        if (!page || this.#unlisten) return;
        const flush = () => this.flush();
        const hurry = () => {
            if (page.document?.hidden) this.flush();
            else if (this.#state === 'waiting' && this.#mayHurry) this.#retry();
        };
        const wiring = [[page, 'pagehide', flush], [page, 'online', hurry],
            [page.document, 'visibilitychange', hurry]];
        for (const [target, name, action] of wiring) target.addEventListener(name, action);
        this.#unlisten = () => {
            for (const [target, name, action] of wiring) target.removeEventListener(name, action);
        };
    }

    #setState(state, detail = {}) {
        const previous = this.#state;
        if (state === previous && state !== 'waiting') return;
        this.#state = state;
        this.#emit('state', { state, previous, ...detail });
    }

    /** A handler that throws harms neither the chain nor the other handlers. */
    #emit(name, ...args) {
        const handlers = [...(this.#listeners.get(name) ?? [])];
        if (name === 'error' && handlers.length === 0) console.error(...args);
        for (const handler of handlers) {
            try {
                handler(...args);
            } catch (cause) {
                if (name === 'error') continue;
                this.#emit('error', new RingsideError(LOCAL_CODES.handlerFailed,
                    `a handler of "${name}" threw: ${cause?.message}`, { cause }));
            }
        }
    }
}
