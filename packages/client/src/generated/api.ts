/* Written by tools/types from the backend's descriptors. Not to be edited: `npm run types` writes it anew. */
export interface paths {
    "/api/auth/avatar/{user}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A person's picture
         * @description A person's picture.
         */
        get: operations["getAvatar"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/login/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign in with a name and a password
         * @description Sign in with a name and a password. JSON or a form.
         */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/logout-everywhere/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End every session and device token of this account
         * @description End every session and device token of this account. JSON or a form.
         */
        post: operations["logoutEverywhere"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/logout/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign out here
         * @description Sign out here. JSON or a form.
         */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/me/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Who is signed in (or null), and the CSRF token
         * @description Who is signed in (or null), and the CSRF token.
         */
        get: operations["getMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change display_name and email
         * @description Change display_name and email.
         */
        patch: operations["updateMe"];
        trace?: never;
    };
    "/api/auth/me/avatar/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * A picture (PNG, JPEG, WebP
         * @description A picture (PNG, JPEG, WebP; at most 1 MiB) as multipart/form-data.
         */
        put: operations["setAvatar"];
        post?: never;
        /**
         * Take the picture away
         * @description Take the picture away.
         */
        delete: operations["deleteAvatar"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/password/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change the password (old, new)
         * @description Change the password (old, new); every other session ends. JSON or a form.
         */
        post: operations["changePassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/register/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make an account and sign in
         * @description Make an account and sign in. JSON or a form.
         */
        post: operations["register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/token/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * A bearer token for a device, for a name and a password
         * @description A bearer token for a device, for a name and a password; told once.
         */
        post: operations["createToken"];
        /**
         * End the bearer token this request carries
         * @description End the bearer token this request carries.
         */
        delete: operations["deleteToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/token/refresh/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * A fresh token in the place of the one this request carries
         * @description A fresh token in the place of the one this request carries.
         */
        post: operations["refreshToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List chats
         * @description A conversation.
         */
        get: operations["listChats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{chat}/export/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Begins to make a text of a chat
         * @description Begins to make a text of a chat: {"id"} of a job that is followed at /api/tasks/.
         */
        post: operations["exportChat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{chat}/pictures/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * A message with a picture
         * @description A message with a picture: multipart with the file, and maybe `text`, `alt` and the message's `id`.
         */
        post: operations["sendPicture"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{chat}/read/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Marks all messages of a chat as read
         * @description Marks all messages of a chat as read.
         */
        post: operations["markChatRead"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of chats
         * @description A conversation.
         */
        get: operations["getChat"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change one of chats
         * @description A conversation.
         */
        patch: operations["updateChat"];
        trace?: never;
    };
    "/api/chats/start/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Starts a chat with some people
         * @description Starts a chat with some people.
         */
        post: operations["startChat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/members/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List members
         * @description Somebody in a chat.
         */
        get: operations["listMembers"];
        put?: never;
        /**
         * Create one of members
         * @description Somebody in a chat.
         */
        post: operations["createMember"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/members/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of members
         * @description Somebody in a chat.
         */
        get: operations["getMember"];
        put?: never;
        post?: never;
        /**
         * Delete one of members
         * @description Somebody in a chat.
         */
        delete: operations["deleteMember"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/messages/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List messages
         * @description One message of a chat.
         */
        get: operations["listMessages"];
        put?: never;
        /**
         * Create one of messages
         * @description One message of a chat.
         */
        post: operations["createMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/messages/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of messages
         * @description One message of a chat.
         */
        get: operations["getMessage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/online/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How many people are connected now
         * @description How many people are connected now.
         */
        get: operations["getOnline"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/pictures/{picture}/file/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The content of a picture, for who sees its chat
         * @description The content of a picture, for who sees its chat.
         */
        get: operations["getPictureFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/push/devices/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List push/devices
         * @description The devices on which I am told.
         */
        get: operations["listPushDevices"];
        put?: never;
        /**
         * Registers this device for notifications
         * @description Registers this device for notifications.
         */
        post: operations["registerDevice"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/push/devices/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of push/devices
         * @description The devices on which I am told.
         */
        get: operations["getPushDevice"];
        put?: never;
        post?: never;
        /**
         * Delete one of push/devices
         * @description The devices on which I am told.
         */
        delete: operations["deletePushDevice"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks
         * @description Jobs of tracked tasks: your own; staff sees all.
         */
        get: operations["listTasks"];
        put?: never;
        /**
         * Enqueues a job
         * @description Enqueues a job.
         */
        post: operations["enqueueJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of tasks
         * @description Jobs of tracked tasks: your own; staff sees all.
         */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/{id}/cancel/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancels a job
         * @description Cancels a job: your own tracked one; staff any.
         */
        post: operations["cancelJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/dead/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks/dead
         * @description Jobs that were given up; for staff.
         */
        get: operations["listTasksDead"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/dead/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of tasks/dead
         * @description Jobs that were given up; for staff.
         */
        get: operations["getTasksDead"];
        put?: never;
        post?: never;
        /**
         * Gives a dead job up for good
         * @description Gives a dead job up for good.
         */
        delete: operations["removeDeadJob"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/dead/{id}/retry/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Enqueues a dead job again
         * @description Enqueues a dead job again.
         */
        post: operations["retryDeadJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/dead/retry/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Retries dead jobs of a task or a queue, up to 500
         * @description Retries dead jobs of a task or a queue, up to 500.
         */
        post: operations["retryDeadJobs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/queues/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks/queues
         * @description Queues and how full they are; for staff.
         */
        get: operations["listTasksQueues"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/queues/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of tasks/queues
         * @description Queues and how full they are; for staff.
         */
        get: operations["getTasksQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/queues/{name}/pause/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * No job of it is begun
         * @description No job of it is begun.
         */
        post: operations["pauseQueue"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/queues/{name}/resume/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Its jobs are begun again
         * @description Its jobs are begun again.
         */
        post: operations["resumeQueue"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/running/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Jobs that run
         * @description Jobs that run: the oldest fifty.
         */
        get: operations["getTasksRunning"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/scheduled/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Jobs with a time in the future
         * @description Jobs with a time in the future: the next fifty.
         */
        get: operations["getTasksScheduled"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/schedules/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks/schedules
         * @description What is enqueued at certain times; for staff.
         */
        get: operations["listTasksSchedules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/schedules/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of tasks/schedules
         * @description What is enqueued at certain times; for staff.
         */
        get: operations["getTasksSchedule"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/schedules/{name}/pause/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * It enqueues nothing
         * @description It enqueues nothing.
         */
        post: operations["pauseSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/schedules/{name}/resume/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * It enqueues again
         * @description It enqueues again.
         */
        post: operations["resumeSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/waiting/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Jobs of ?queue= ("default") that may run
         * @description Jobs of ?queue= ("default") that may run: the next fifty.
         */
        get: operations["getTasksWaiting"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/workers/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks/workers
         * @description Processes that run jobs; for staff.
         */
        get: operations["listTasksWorkers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks/workers/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of tasks/workers
         * @description Processes that run jobs; for staff.
         */
        get: operations["getTasksWorker"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/unread/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How many messages wait in each chat
         * @description How many messages wait in each chat.
         */
        get: operations["getUnread"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List users
         * @description People, as others see them.
         */
        get: operations["listUsers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/users/{id}/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one of users
         * @description People, as others see them.
         */
        get: operations["getUser"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether this process answers
         * @description Whether this process answers.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The live websocket
         * @description The live websocket: subscriptions to lists, rows and computed endpoints by their URL. Its messages are JSON texts, described in docs/reference/live-protocol.md; GET of a URL with Accept: text/event-stream follows it alone.
         */
        get: operations["openLive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is counted, for Prometheus
         * @description What is counted, for Prometheus.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws/chats/{chat}/dice/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Say `throw`
         * @description Say `throw`; everybody there is told who threw and what fell.
         */
        get: operations["openWsChatsDice"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description The present password and the one in its place. */
        ChangePassword: {
            /** @description Of a form: instead of the header. */
            csrf_token?: string;
            /**
             * Format: password
             * @description The one in its place.
             */
            new: string;
            /** @description Of a form: the page it leads to. */
            next?: string;
            /**
             * Format: password
             * @description The present one.
             */
            old: string;
        };
        /** @description A conversation. */
        Chat: {
            /**
             * Format: date-time
             * @description When it was started.
             */
            readonly created_at: string;
            /**
             * Format: uuid
             * @description Who started it.
             */
            readonly created_by: string;
            /**
             * Format: uuid
             * @description Made by the client or the server.
             */
            id: string;
            /**
             * Format: date-time
             * @description When the latest message came.
             */
            readonly last_message_at: string;
            /** @description What it is about. */
            title: string;
        };
        /** @description A page of rows. */
        ChatList: {
            /** @description The rows that ?include= asks for, by their id. */
            included?: {
                created_by?: {
                    [key: string]: components["schemas"]["User"];
                };
            };
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Chat"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description A conversation. */
        ChatUpdate: {
            /** @description What it is about. */
            title?: string;
        };
        /** @description A device that wants a token. */
        CreateToken: {
            /** @description What it calls itself. */
            label?: string;
            /**
             * Format: password
             * @description The password.
             */
            password: string;
            /**
             * @description The name to sign in with.
             * @example demo
             */
            username: string;
        };
        /** @description The job that was made. */
        Enqueued: {
            /**
             * Format: uuid
             * @description The job.
             */
            id: string;
        };
        /** @description A job to be. */
        EnqueueTask: {
            /**
             * @description Its arguments: an object.
             * @default {}
             */
            arguments?: unknown;
            /**
             * Format: double
             * @description Seconds until it may run.
             */
            delay_s?: number;
            /**
             * Format: date-time
             * @description After this it is not begun any more.
             */
            expires_at?: string | null;
            /** @description Whose jobs share the task's limits. */
            key?: string;
            /**
             * Format: int64
             * @description 0 is first.
             */
            priority?: number | null;
            /** @description Not the task's own. */
            queue?: string;
            /**
             * Format: date-time
             * @description When it may run; not together with delay_s.
             */
            run_at?: string | null;
            /** @description The task, by name. */
            task: string;
            /** @description While a job of the task with this key waits, there is no other. */
            unique?: string;
        };
        /** @description The job that makes the text. */
        Export: {
            /**
             * Format: uuid
             * @description Followed at /api/tasks/.
             */
            id: string;
        };
        /** @description What is wrong with one value of a body. */
        FieldProblem: {
            /**
             * @description For programs.
             * @example max_length
             */
            code: string;
            /**
             * @description For people.
             * @example Must be shorter.
             */
            message: string;
            /**
             * @description A JSON pointer to the value.
             * @example /text
             */
            pointer: string;
        };
        /** @description That the process answers. */
        Health: {
            /** @description ok */
            status: string;
        };
        /** @description A job that is not done yet. */
        Job: {
            /**
             * Format: int64
             * @description Runs begun.
             */
            attempt: number;
            /** @description It is to stop. */
            cancelled: boolean;
            /**
             * Format: int64
             * @description Runs whose process died.
             */
            crashes: number;
            /**
             * Format: date-time
             * @description When it was enqueued.
             */
            enqueued_at: string;
            /**
             * Format: date-time
             * @description After this it is not begun any more.
             */
            expires_at: string | null;
            /**
             * Format: uuid
             * @description The job.
             */
            id: string;
            /**
             * Format: uuid
             * @description For whom it is.
             */
            owner: string | null;
            /**
             * Format: int64
             * @description 0 is first.
             */
            priority: number;
            /** @description Its queue. */
            queue: string;
            /**
             * Format: date-time
             * @description When it may run.
             */
            run_at: string | null;
            /** @description The task, by name. */
            task: string;
            /** @description Its user can follow it. */
            tracked: boolean;
            /** @description Which runs it. */
            worker: string | null;
        };
        /** @description Jobs that were given up, until somebody retries or removes them. */
        JobDead: {
            /** @description JSON. */
            arguments: string;
            /**
             * Format: int64
             * @description Runs begun.
             */
            attempt: number;
            /** @description Why, for programs. */
            code: string;
            /**
             * Format: int64
             * @description Runs whose process died.
             */
            crashes: number;
            /**
             * Format: date-time
             * @description When it was given up.
             */
            died_at: string;
            /**
             * Format: date-time
             * @description When it was enqueued.
             */
            enqueued_at: string;
            /** @description Why, for people. */
            error: string;
            /** @description A message that could not be read, as it came. */
            foreign_message: string | null;
            /**
             * Format: uuid
             * @description The job.
             */
            id: string;
            /**
             * Format: uuid
             * @description For whom it was.
             */
            owner: string | null;
            /**
             * Format: int64
             * @description 0 to 9.
             */
            priority: number;
            /** @description Its queue. */
            queue: string;
            /** @description The task, by name. */
            task: string;
            /**
             * Format: int64
             * @description Of its arguments.
             */
            version: number;
        };
        /** @description A page of rows. */
        JobDeadList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["JobDead"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description At most fifty jobs. */
        Jobs: {
            rows: components["schemas"]["Job"][];
        };
        /** @description A job that its user can follow. */
        JobStatus: {
            /**
             * Format: int64
             * @description Runs begun.
             */
            attempt: number;
            /**
             * Format: date-time
             * @description When it was enqueued.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When it ended.
             */
            ended_at: string | null;
            /** @description Why it failed, or why it is tried again. */
            error: string;
            /**
             * Format: date-time
             * @description When this row goes.
             */
            expires_at: string | null;
            /**
             * Format: uuid
             * @description The job.
             */
            id: string;
            /** @description How far it is, in words. */
            message: string;
            /**
             * Format: double
             * @description 0 to 1.
             */
            progress: number;
            /** @description Where it waits. */
            queue: string;
            /** @description What it gave. */
            result: unknown;
            /**
             * Format: date-time
             * @description When the last run began.
             */
            started_at: string | null;
            /** @description waiting, running, done, failed, cancelled or expired. */
            state: string;
            /** @description The task, by name. */
            task: string;
            /**
             * Format: uuid
             * @description For whom it is done.
             */
            user: string | null;
        };
        /** @description A page of rows. */
        JobStatusList: {
            /** @description The rows that ?include= asks for, by their id. */
            included?: {
                user?: {
                    [key: string]: components["schemas"]["User"];
                };
            };
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["JobStatus"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description Who wants to sign in. */
        Login: {
            /** @description Of a form: instead of the header. */
            csrf_token?: string;
            /** @description Of a form: the page it leads to. */
            next?: string;
            /**
             * Format: password
             * @description The password.
             */
            password: string;
            /**
             * @description The name to sign in with.
             * @example demo
             */
            username: string;
        };
        /** @description Somebody in a chat. */
        Member: {
            /**
             * Format: uuid
             * @description The chat.
             */
            chat: string;
            /**
             * Format: uuid
             * @description Made by the client or the server.
             */
            id: string;
            /**
             * Format: date-time
             * @description Since when.
             */
            readonly joined_at: string;
            /**
             * Format: date-time
             * @description When they last read it.
             */
            readonly last_read_at: string | null;
            /**
             * Format: int64
             * @description How many messages they have not read.
             */
            readonly unread: number;
            /**
             * Format: uuid
             * @description Who.
             */
            user: string;
        };
        /** @description Somebody in a chat. */
        MemberCreate: {
            /**
             * Format: uuid
             * @description The chat.
             */
            chat: string;
            /**
             * Format: uuid
             * @description Made by the client or the server.
             */
            id?: string;
            /**
             * Format: uuid
             * @description Who.
             */
            user: string;
        };
        /** @description A page of rows. */
        MemberList: {
            /** @description The rows that ?include= asks for, by their id. */
            included?: {
                chat?: {
                    [key: string]: components["schemas"]["Chat"];
                };
                user?: {
                    [key: string]: components["schemas"]["User"];
                };
            };
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Member"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description One message of a chat. */
        Message: {
            /**
             * Format: uuid
             * @description The chat it belongs to.
             */
            chat: string;
            /**
             * Format: date-time
             * @description When it was sent.
             */
            readonly created_at: string;
            /**
             * Format: uuid
             * @description Made by the client or the server.
             */
            id: string;
            /**
             * Format: uuid
             * @description The picture in it.
             */
            readonly picture: string | null;
            /**
             * Format: uuid
             * @description Who wrote it.
             */
            readonly sender: string;
            /** @description What was written; with a picture it may be empty. */
            text: string;
        };
        /** @description One message of a chat. */
        MessageCreate: {
            /**
             * Format: uuid
             * @description The chat it belongs to.
             */
            chat: string;
            /**
             * Format: uuid
             * @description Made by the client or the server.
             */
            id?: string;
            /** @description What was written; with a picture it may be empty. */
            text: string;
        };
        /** @description A page of rows. */
        MessageList: {
            /** @description The rows that ?include= asks for, by their id. */
            included?: {
                chat?: {
                    [key: string]: components["schemas"]["Chat"];
                };
                picture?: {
                    [key: string]: components["schemas"]["Picture"];
                };
                sender?: {
                    [key: string]: components["schemas"]["User"];
                };
            };
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Message"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description What a person changes of the own account. */
        MeUpdate: {
            /** @description The name that others see. */
            display_name?: string;
            /**
             * Format: email
             * @description Seen by the person alone; null: none.
             */
            email?: string | null;
        };
        /** @description How many people are connected. */
        Online: {
            /**
             * Format: int64
             * @description People, not connections.
             */
            count: number;
        };
        /** @description A person as their own client sees them. */
        OwnUser: {
            /** @description Where the picture is, or empty. */
            avatar: string;
            /** @description The name that others see. */
            display_name: string;
            /** @description Seen by the person alone. */
            email: string | null;
            /**
             * Format: uuid
             * @description The user.
             */
            id: string;
            /** @description May use the administration. */
            staff: boolean;
            /** @description The name to sign in with. */
            username: string;
        };
        /** @description A picture in a message: what is known of it without its content. */
        Picture: {
            /** @description What is to be seen, for who does not see it. */
            readonly alt: string;
            /**
             * Format: int64
             * @description The length of its content.
             */
            readonly bytes: number;
            /**
             * Format: uuid
             * @description Where it was sent.
             */
            readonly chat: string;
            /** @description As its bytes say. */
            readonly content_type: string;
            /**
             * Format: date-time
             * @description When it was sent.
             */
            readonly created_at: string;
            /**
             * Format: int64
             * @description Pixels.
             */
            readonly height: number;
            /**
             * Format: uuid
             * @description Its address is made of it: the content never changes.
             */
            id: string;
            /**
             * Format: uuid
             * @description Who sent it.
             */
            readonly sender: string;
            /**
             * Format: int64
             * @description Pixels.
             */
            readonly width: number;
        };
        /** @description Why a request was not done, after RFC 9457. */
        Problem: {
            /**
             * @description What is wrong, for programs.
             * @example not_found
             */
            code: string;
            /** @description What is wrong, for people. */
            detail: string;
            /** @description The values that are wrong. */
            errors?: components["schemas"]["FieldProblem"][];
            /** @description Under which the log names it. */
            request_id?: string;
            /**
             * Format: int64
             * @description The HTTP status.
             */
            status: number;
            /** @description The status in words. */
            title: string;
            /** @description about:blank */
            type: string;
        };
        /** @description A device that is sent notifications. */
        PushDevice: {
            /** @description As the app said; may be empty. */
            app_version: string;
            /**
             * Format: date-time
             * @description When this user first registered it.
             */
            created_at: string;
            /**
             * Format: uuid
             * @description Made by the server.
             */
            id: string;
            /**
             * Format: date-time
             * @description When the app last registered it.
             */
            last_used_at: string;
            /** @description The language it is used in; may be empty. */
            locale: string;
            /** @description What carries it: fcm, apns or one of the app's own. */
            platform: string;
        };
        /** @description A page of rows. */
        PushDeviceList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["PushDevice"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description A queue, and how full it is. */
        Queue: {
            /**
             * Format: int64
             * @description Jobs whose key is at its limit.
             */
            blocked: number;
            /**
             * Format: int64
             * @description Jobs in the dead list.
             */
            dead: number;
            /**
             * Format: int64
             * @description Jobs done since it was made.
             */
            done: number;
            /**
             * Format: int64
             * @description Runs that failed.
             */
            failed: number;
            /**
             * Format: uuid
             * @description Made by the server.
             */
            id: string;
            /**
             * Format: int64
             * @description Jobs with a time in the future.
             */
            later: number;
            /** @description Its name. */
            readonly name: string;
            /** @description No job of it is begun. */
            paused: boolean;
            /**
             * Format: int64
             * @description Jobs that run.
             */
            running: number;
            /**
             * Format: date-time
             * @description When that was counted.
             */
            updated_at: string;
            /**
             * Format: int64
             * @description Jobs that may run; 10,001: more than 10,000.
             */
            waiting: number;
        };
        /** @description A page of rows. */
        QueueList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Queue"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description A new account. */
        Register: {
            /** @description Of a form: instead of the header. */
            csrf_token?: string;
            /** @description What a device calls itself: it gets a token instead of a cookie. */
            device?: string | null;
            /** @description The name that others see. */
            display_name?: string;
            /**
             * Format: email
             * @description Seen by the person alone.
             */
            email?: string;
            /** @description Of a form: the page it leads to. */
            next?: string;
            /**
             * Format: password
             * @description The password.
             */
            password: string;
            /**
             * @description The name to sign in with.
             * @example demo
             */
            username: string;
        };
        /** @description A device that wants to be told. */
        RegisterDevice: {
            /** @description For people who look for a fault. */
            app_version?: string;
            /** @description The language it is used in: de-AT. */
            locale?: string;
            /** @description fcm, apns or one of the app's own. */
            platform: string;
            /** @description What the service gave the app. */
            token: string;
        };
        /** @description What was retried. */
        Retried: {
            /**
             * Format: int64
             * @description How many jobs were enqueued again.
             */
            retried: number;
        };
        /** @description Which dead jobs to retry. */
        RetryDead: {
            /** @description Of this queue. */
            queue?: string;
            /** @description Of this task. */
            task?: string;
        };
        /** @description What is enqueued at certain times. */
        Schedule: {
            /**
             * Format: uuid
             * @description Made by the server.
             */
            id: string;
            /**
             * Format: date-time
             * @description For which time it was last enqueued.
             */
            last_due: string | null;
            /**
             * Format: uuid
             * @description The job of the last time.
             */
            last_job: string | null;
            /** @description Its name. */
            name: string;
            /**
             * Format: date-time
             * @description When it is due next.
             */
            next_due: string | null;
            /** @description Nothing is enqueued. */
            paused: boolean;
            /** @description When: a cron line or an interval. */
            spec: string;
            /** @description What is enqueued. */
            task: string;
            /** @description The time zone of the cron line. */
            zone: string;
        };
        /** @description A page of rows. */
        ScheduleList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Schedule"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description A new chat and who is in it. */
        StartChat: {
            /** @description The others; you are always in it. */
            members?: string[];
            /** @description What it is about. */
            title: string;
        };
        /** @description How many messages wait: only chats with something to read. */
        Unread: {
            /** @description By the chat's id. */
            counts: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description In all of them.
             */
            total: number;
        };
        /** @description A person who can sign in, as others see them. */
        User: {
            /** @description Where the picture is, or empty. */
            readonly avatar: string;
            /**
             * Format: date-time
             * @description When the account was made.
             */
            readonly created_at: string;
            /** @description The name that others see. */
            display_name: string;
            /**
             * Format: uuid
             * @description Made by the server.
             */
            id: string;
            /** @description May use the administration. */
            readonly staff: boolean;
            /** @description The name to sign in with, as it was chosen. */
            readonly username: string;
        };
        /** @description A page of rows. */
        UserList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["User"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
        /** @description Who is signed in. */
        Who: {
            /** @description The CSRF token of the session; empty for a device's token. */
            csrf: string;
            /**
             * Format: int64
             * @description How long it is valid if it is not renewed.
             */
            expires_in_s?: number;
            /** @description A device's token; this once. */
            token?: string;
            user: components["schemas"]["OwnUser"] | null;
        };
        /** @description A process that runs jobs. */
        Worker: {
            /**
             * Format: int64
             * @description Runs at once.
             */
            concurrency: number;
            /** @description The machine. */
            host: string;
            /**
             * Format: uuid
             * @description One start of it.
             */
            id: string;
            /**
             * Format: date-time
             * @description Without a sign of life until then its jobs go to others.
             */
            lease_until: string;
            /** @description HOST:PID, or as it was named. */
            name: string;
            /**
             * Format: int64
             * @description The process.
             */
            pid: number;
            /** @description What it takes jobs from. */
            queues: string;
            /**
             * Format: int64
             * @description Runs now.
             */
            running: number;
            /**
             * Format: date-time
             * @description Its last sign of life.
             */
            seen_at: string;
            /**
             * Format: date-time
             * @description When it was started.
             */
            started_at: string;
        };
        /** @description A page of rows. */
        WorkerList: {
            /** @description The URL of the rows behind these; null: there are none. */
            next: string | null;
            /** @description How much of what was written this shows: an epoch and a number. */
            position: string;
            /** @description The URL of the rows before these; null: there are none. */
            previous: string | null;
            rows: components["schemas"]["Worker"][];
            /**
             * Format: int64
             * @description How many rows there are in all; null with ?total=false.
             */
            total: number | null;
        };
    };
    responses: {
        /** @description The URL, a header or the body cannot be read. */
        BadRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Something else already has this value, or stands against it. */
        Conflict: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description This caller may not do it, or the CSRF token is missing. */
        Forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body was read and is not valid: `errors` says which values. */
        Invalid: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such thing, or it is not this caller's to see. */
        NotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description It was changed meanwhile: its ETag is not the one in If-Match. */
        PreconditionFailed: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description What any request may meet: too much at once, a restart, a fault here. */
        Problem: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Too many requests; Retry-After says when. */
        Throttled: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is too large. */
        TooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Nobody is signed in, or the token is not valid. */
        Unauthorized: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not of a type that is taken here. */
        UnsupportedMediaType: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description This address speaks only websocket. */
        UpgradeRequired: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
        IdempotencyKey: string;
        /** @description Only while the row's ETag is this; else 412. */
        IfMatch: string;
        /** @description Only when the ETag is not this; else 304. */
        IfNoneMatch: string;
    };
    requestBodies: never;
    headers: {
        /** @description For If-Match and If-None-Match. */
        ETag: string;
        /** @description The URL of the new row. */
        Location: string;
        /** @description Seconds until it may be asked again. */
        RetryAfter: number;
        /** @description How much of what was written this shows; of a write: where it is seen. */
        TimsPosition: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getAvatar: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/*": string;
                };
            };
            /** @description It is what If-None-Match names. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Login"];
                "application/x-www-form-urlencoded": components["schemas"]["Login"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            /** @description Of a form: to the page that it leads to, or back to its own with ?error=code. */
            303: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    logoutEverywhere: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    getMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            401: components["responses"]["Unauthorized"];
            default: components["responses"]["Problem"];
        };
    };
    updateMe: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MeUpdate"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            default: components["responses"]["Problem"];
        };
    };
    setAvatar: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": {
                    /** Format: binary */
                    file: string;
                };
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            default: components["responses"]["Problem"];
        };
    };
    deleteAvatar: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    changePassword: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangePassword"];
                "application/x-www-form-urlencoded": components["schemas"]["ChangePassword"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            /** @description Of a form: to the page that it leads to, or back to its own with ?error=code. */
            303: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    register: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Register"];
                "application/x-www-form-urlencoded": components["schemas"]["Register"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            /** @description Of a form: to the page that it leads to, or back to its own with ?error=code. */
            303: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateToken"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    deleteToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            409: components["responses"]["Conflict"];
            default: components["responses"]["Problem"];
        };
    };
    refreshToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Who"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            409: components["responses"]["Conflict"];
            default: components["responses"]["Problem"];
        };
    };
    listChats: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "title" | "created_by" | "created_at" | "last_message_at")[];
                /** @description The rows that these point at, in `included`. */
                include?: "created_by"[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description By these; with - the other way round. Else: -last_message_at. */
                order?: ("last_message_at" | "-last_message_at" | "created_at" | "-created_at")[];
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Each of its words (at most eight) begins a word of the row. */
                search?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    exportChat: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                chat: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Export"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    sendPicture: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                chat: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": {
                    /** @description What is to be seen. */
                    alt?: string;
                    /** Format: binary */
                    file: string;
                    /**
                     * Format: uuid
                     * @description The message's, made by the client.
                     */
                    id?: string;
                    /** @description Stands below it. */
                    text?: string;
                };
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Message"];
                };
            };
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Message"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    markChatRead: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                chat: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    getChat: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "title" | "created_by" | "created_at" | "last_message_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    updateChat: {
        parameters: {
            query?: never;
            header?: {
                /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Only while the row's ETag is this; else 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChatUpdate"];
            };
        };
        responses: {
            /** @description The row as it is now. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    startChat: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StartChat"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            default: components["responses"]["Problem"];
        };
    };
    listMembers: {
        parameters: {
            query?: {
                /** @description The chat. */
                chat?: string;
                /** @description It is greater. */
                chat__gt?: string;
                /** @description It is greater, or this. */
                chat__gte?: string;
                /** @description It is one of these. */
                chat__in?: string[];
                /** @description Whether it has no value. */
                chat__isnull?: boolean;
                /** @description It is less. */
                chat__lt?: string;
                /** @description It is less, or this. */
                chat__lte?: string;
                /** @description It is not this; rows without a value too. */
                chat__not?: string;
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "chat" | "user" | "joined_at" | "last_read_at" | "unread")[];
                /** @description The rows that these point at, in `included`. */
                include?: ("chat" | "user")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Whether `total` is counted. */
                total?: boolean;
                /** @description Who. */
                user?: string;
                /** @description It is greater. */
                user__gt?: string;
                /** @description It is greater, or this. */
                user__gte?: string;
                /** @description It is one of these. */
                user__in?: string[];
                /** @description Whether it has no value. */
                user__isnull?: boolean;
                /** @description It is less. */
                user__lt?: string;
                /** @description It is less, or this. */
                user__lte?: string;
                /** @description It is not this; rows without a value too. */
                user__not?: string;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MemberList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    createMember: {
        parameters: {
            query?: never;
            header?: {
                /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MemberCreate"];
            };
        };
        responses: {
            /** @description The new row. */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getMember: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "chat" | "user" | "joined_at" | "last_read_at" | "unread")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    deleteMember: {
        parameters: {
            query?: never;
            header?: {
                /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Only while the row's ETag is this; else 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            204: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    listMessages: {
        parameters: {
            query?: {
                /** @description The chat it belongs to. */
                chat?: string;
                /** @description It is greater. */
                chat__gt?: string;
                /** @description It is greater, or this. */
                chat__gte?: string;
                /** @description It is one of these. */
                chat__in?: string[];
                /** @description Whether it has no value. */
                chat__isnull?: boolean;
                /** @description It is less. */
                chat__lt?: string;
                /** @description It is less, or this. */
                chat__lte?: string;
                /** @description It is not this; rows without a value too. */
                chat__not?: string;
                /** @description When it was sent. */
                created_at?: string;
                /** @description It is greater. */
                created_at__gt?: string;
                /** @description It is greater, or this. */
                created_at__gte?: string;
                /** @description It is one of these. */
                created_at__in?: string[];
                /** @description Whether it has no value. */
                created_at__isnull?: boolean;
                /** @description It is less. */
                created_at__lt?: string;
                /** @description It is less, or this. */
                created_at__lte?: string;
                /** @description It is not this; rows without a value too. */
                created_at__not?: string;
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "chat" | "sender" | "text" | "picture" | "created_at")[];
                /** @description The rows that these point at, in `included`. */
                include?: ("chat" | "sender" | "picture")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description By these; with - the other way round. Else: -created_at. */
                order?: ("created_at" | "-created_at")[];
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Each of its words (at most eight) begins a word of the row. */
                search?: string;
                /** @description Who wrote it. */
                sender?: string;
                /** @description It is greater. */
                sender__gt?: string;
                /** @description It is greater, or this. */
                sender__gte?: string;
                /** @description It is one of these. */
                sender__in?: string[];
                /** @description Whether it has no value. */
                sender__isnull?: boolean;
                /** @description It is less. */
                sender__lt?: string;
                /** @description It is less, or this. */
                sender__lte?: string;
                /** @description It is not this; rows without a value too. */
                sender__not?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MessageList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    createMessage: {
        parameters: {
            query?: never;
            header?: {
                /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MessageCreate"];
            };
        };
        responses: {
            /** @description The new row. */
            201: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["Location"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Message"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getMessage: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "chat" | "sender" | "text" | "picture" | "created_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Message"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getOnline: {
        parameters: {
            query?: never;
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Online"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            default: components["responses"]["Problem"];
        };
    };
    getPictureFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                picture: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/*": string;
                };
            };
            /** @description It is what If-None-Match names. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    listPushDevices: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "platform" | "app_version" | "locale" | "created_at" | "last_used_at")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushDeviceList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    registerDevice: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterDevice"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushDevice"];
                };
            };
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushDevice"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getPushDevice: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "platform" | "app_version" | "locale" | "created_at" | "last_used_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushDevice"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    deletePushDevice: {
        parameters: {
            query?: never;
            header?: {
                /** @description Sent again with the same key and body, it is done once and answered the same; with another body it is 422. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Only while the row's ETag is this; else 412. */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            204: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["Invalid"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    listTasks: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "task" | "queue" | "user" | "state" | "progress" | "message" | "result" | "error" | "attempt" | "created_at" | "started_at" | "ended_at" | "expires_at")[];
                /** @description The rows that these point at, in `included`. */
                include?: "user"[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Where it waits. */
                queue?: string;
                /** @description It has this in it, in whatever case. */
                queue__contains?: string;
                /** @description It is greater. */
                queue__gt?: string;
                /** @description It is greater, or this. */
                queue__gte?: string;
                /** @description It is one of these. */
                queue__in?: string[];
                /** @description Whether it has no value. */
                queue__isnull?: boolean;
                /** @description It is less. */
                queue__lt?: string;
                /** @description It is less, or this. */
                queue__lte?: string;
                /** @description It is not this; rows without a value too. */
                queue__not?: string;
                /** @description It begins with this, in whatever case. */
                queue__startswith?: string;
                /** @description waiting, running, done, failed, cancelled or expired. */
                state?: string;
                /** @description It has this in it, in whatever case. */
                state__contains?: string;
                /** @description It is greater. */
                state__gt?: string;
                /** @description It is greater, or this. */
                state__gte?: string;
                /** @description It is one of these. */
                state__in?: string[];
                /** @description Whether it has no value. */
                state__isnull?: boolean;
                /** @description It is less. */
                state__lt?: string;
                /** @description It is less, or this. */
                state__lte?: string;
                /** @description It is not this; rows without a value too. */
                state__not?: string;
                /** @description It begins with this, in whatever case. */
                state__startswith?: string;
                /** @description The task, by name. */
                task?: string;
                /** @description It has this in it, in whatever case. */
                task__contains?: string;
                /** @description It is greater. */
                task__gt?: string;
                /** @description It is greater, or this. */
                task__gte?: string;
                /** @description It is one of these. */
                task__in?: string[];
                /** @description Whether it has no value. */
                task__isnull?: boolean;
                /** @description It is less. */
                task__lt?: string;
                /** @description It is less, or this. */
                task__lte?: string;
                /** @description It is not this; rows without a value too. */
                task__not?: string;
                /** @description It begins with this, in whatever case. */
                task__startswith?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
                /** @description For whom it is done. */
                user?: string;
                /** @description It is greater. */
                user__gt?: string;
                /** @description It is greater, or this. */
                user__gte?: string;
                /** @description It is one of these. */
                user__in?: string[];
                /** @description Whether it has no value. */
                user__isnull?: boolean;
                /** @description It is less. */
                user__lt?: string;
                /** @description It is less, or this. */
                user__lte?: string;
                /** @description It is not this; rows without a value too. */
                user__not?: string;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobStatusList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    enqueueJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EnqueueTask"];
            };
        };
        responses: {
            /** @description Done. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Enqueued"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            default: components["responses"]["Problem"];
        };
    };
    getTask: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "task" | "queue" | "user" | "state" | "progress" | "message" | "result" | "error" | "attempt" | "created_at" | "started_at" | "ended_at" | "expires_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobStatus"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    cancelJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            409: components["responses"]["Conflict"];
            default: components["responses"]["Problem"];
        };
    };
    listTasksDead: {
        parameters: {
            query?: {
                /** @description Why, for programs. */
                code?: string;
                /** @description It has this in it, in whatever case. */
                code__contains?: string;
                /** @description It is greater. */
                code__gt?: string;
                /** @description It is greater, or this. */
                code__gte?: string;
                /** @description It is one of these. */
                code__in?: string[];
                /** @description Whether it has no value. */
                code__isnull?: boolean;
                /** @description It is less. */
                code__lt?: string;
                /** @description It is less, or this. */
                code__lte?: string;
                /** @description It is not this; rows without a value too. */
                code__not?: string;
                /** @description It begins with this, in whatever case. */
                code__startswith?: string;
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "task" | "queue" | "version" | "arguments" | "priority" | "attempt" | "crashes" | "enqueued_at" | "died_at" | "owner" | "code" | "error" | "foreign_message")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Its queue. */
                queue?: string;
                /** @description It has this in it, in whatever case. */
                queue__contains?: string;
                /** @description It is greater. */
                queue__gt?: string;
                /** @description It is greater, or this. */
                queue__gte?: string;
                /** @description It is one of these. */
                queue__in?: string[];
                /** @description Whether it has no value. */
                queue__isnull?: boolean;
                /** @description It is less. */
                queue__lt?: string;
                /** @description It is less, or this. */
                queue__lte?: string;
                /** @description It is not this; rows without a value too. */
                queue__not?: string;
                /** @description It begins with this, in whatever case. */
                queue__startswith?: string;
                /** @description The task, by name. */
                task?: string;
                /** @description It has this in it, in whatever case. */
                task__contains?: string;
                /** @description It is greater. */
                task__gt?: string;
                /** @description It is greater, or this. */
                task__gte?: string;
                /** @description It is one of these. */
                task__in?: string[];
                /** @description Whether it has no value. */
                task__isnull?: boolean;
                /** @description It is less. */
                task__lt?: string;
                /** @description It is less, or this. */
                task__lte?: string;
                /** @description It is not this; rows without a value too. */
                task__not?: string;
                /** @description It begins with this, in whatever case. */
                task__startswith?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobDeadList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksDead: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "task" | "queue" | "version" | "arguments" | "priority" | "attempt" | "crashes" | "enqueued_at" | "died_at" | "owner" | "code" | "error" | "foreign_message")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobDead"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    removeDeadJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    retryDeadJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    retryDeadJobs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetryDead"];
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Retried"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["Invalid"];
            default: components["responses"]["Problem"];
        };
    };
    listTasksQueues: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "paused" | "waiting" | "later" | "running" | "blocked" | "dead" | "done" | "failed" | "updated_at")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description Its name. */
                name?: string;
                /** @description It has this in it, in whatever case. */
                name__contains?: string;
                /** @description It is greater. */
                name__gt?: string;
                /** @description It is greater, or this. */
                name__gte?: string;
                /** @description It is one of these. */
                name__in?: string[];
                /** @description Whether it has no value. */
                name__isnull?: boolean;
                /** @description It is less. */
                name__lt?: string;
                /** @description It is less, or this. */
                name__lte?: string;
                /** @description It is not this; rows without a value too. */
                name__not?: string;
                /** @description It begins with this, in whatever case. */
                name__startswith?: string;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description No job of it is begun. */
                paused?: boolean;
                /** @description It is one of these. */
                paused__in?: boolean[];
                /** @description Whether it has no value. */
                paused__isnull?: boolean;
                /** @description It is not this; rows without a value too. */
                paused__not?: boolean;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QueueList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksQueue: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "paused" | "waiting" | "later" | "running" | "blocked" | "dead" | "done" | "failed" | "updated_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Queue"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    pauseQueue: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    resumeQueue: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksRunning: {
        parameters: {
            query?: never;
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Jobs"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksScheduled: {
        parameters: {
            query?: never;
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Jobs"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    listTasksSchedules: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "task" | "spec" | "zone" | "paused" | "last_due" | "next_due" | "last_job")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Nothing is enqueued. */
                paused?: boolean;
                /** @description It is one of these. */
                paused__in?: boolean[];
                /** @description Whether it has no value. */
                paused__isnull?: boolean;
                /** @description It is not this; rows without a value too. */
                paused__not?: boolean;
                /** @description What is enqueued. */
                task?: string;
                /** @description It has this in it, in whatever case. */
                task__contains?: string;
                /** @description It is greater. */
                task__gt?: string;
                /** @description It is greater, or this. */
                task__gte?: string;
                /** @description It is one of these. */
                task__in?: string[];
                /** @description Whether it has no value. */
                task__isnull?: boolean;
                /** @description It is less. */
                task__lt?: string;
                /** @description It is less, or this. */
                task__lte?: string;
                /** @description It is not this; rows without a value too. */
                task__not?: string;
                /** @description It begins with this, in whatever case. */
                task__startswith?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksSchedule: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "task" | "spec" | "zone" | "paused" | "last_due" | "next_due" | "last_job")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    pauseSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    resumeSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksWaiting: {
        parameters: {
            query?: {
                queue?: string;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Jobs"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Problem"];
        };
    };
    listTasksWorkers: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "host" | "pid" | "queues" | "concurrency" | "running" | "started_at" | "seen_at" | "lease_until")[];
                /** @description Rows of a page. */
                limit?: number;
                /** @description HOST:PID, or as it was named. */
                name?: string;
                /** @description It has this in it, in whatever case. */
                name__contains?: string;
                /** @description It is greater. */
                name__gt?: string;
                /** @description It is greater, or this. */
                name__gte?: string;
                /** @description It is one of these. */
                name__in?: string[];
                /** @description Whether it has no value. */
                name__isnull?: boolean;
                /** @description It is less. */
                name__lt?: string;
                /** @description It is less, or this. */
                name__lte?: string;
                /** @description It is not this; rows without a value too. */
                name__not?: string;
                /** @description It begins with this, in whatever case. */
                name__startswith?: string;
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Whether `total` is counted. */
                total?: boolean;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WorkerList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getTasksWorker: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "name" | "host" | "pid" | "queues" | "concurrency" | "running" | "started_at" | "seen_at" | "lease_until")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Worker"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getUnread: {
        parameters: {
            query?: never;
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Unread"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            default: components["responses"]["Problem"];
        };
    };
    listUsers: {
        parameters: {
            query?: {
                /** @description Where `next` or `previous` leads to. */
                cursor?: string;
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "username" | "display_name" | "avatar" | "staff" | "created_at")[];
                /** @description Made by the server. */
                id?: string;
                /** @description It is greater. */
                id__gt?: string;
                /** @description It is greater, or this. */
                id__gte?: string;
                /** @description It is one of these. */
                id__in?: string[];
                /** @description Whether it has no value. */
                id__isnull?: boolean;
                /** @description It is less. */
                id__lt?: string;
                /** @description It is less, or this. */
                id__lte?: string;
                /** @description It is not this; rows without a value too. */
                id__not?: string;
                /** @description Rows of a page. */
                limit?: number;
                /** @description By these; with - the other way round. Else: username. */
                order?: ("username" | "-username")[];
                /** @description The number of a page; not together with cursor. */
                page?: number;
                /** @description Each of its words (at most eight) begins a word of the row. */
                search?: string;
                /** @description Whether `total` is counted. */
                total?: boolean;
                /** @description The name to sign in with, as it was chosen. */
                username?: string;
                /** @description It has this in it, in whatever case. */
                username__contains?: string;
                /** @description It is greater. */
                username__gt?: string;
                /** @description It is greater, or this. */
                username__gte?: string;
                /** @description It is one of these. */
                username__in?: string[];
                /** @description Whether it has no value. */
                username__isnull?: boolean;
                /** @description It is less. */
                username__lt?: string;
                /** @description It is less, or this. */
                username__lte?: string;
                /** @description It is not this; rows without a value too. */
                username__not?: string;
                /** @description It begins with this, in whatever case. */
                username__startswith?: string;
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserList"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getUser: {
        parameters: {
            query?: {
                /** @description Only these fields, and what identifies a row. */
                fields?: ("id" | "username" | "display_name" | "avatar" | "staff" | "created_at")[];
            };
            header?: {
                /** @description Only when the ETag is not this; else 304. */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Fine. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Tims-Position": components["headers"]["TimsPosition"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                    "text/event-stream": string;
                };
            };
            /** @description What If-None-Match names is what would be answered. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            404: components["responses"]["NotFound"];
            429: components["responses"]["Throttled"];
            default: components["responses"]["Problem"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    openLive: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connection is a websocket from here on. */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            426: components["responses"]["UpgradeRequired"];
            default: components["responses"]["Problem"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            404: components["responses"]["NotFound"];
            default: components["responses"]["Problem"];
        };
    };
    openWsChatsDice: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                chat: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connection is a websocket from here on. */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            426: components["responses"]["UpgradeRequired"];
            default: components["responses"]["Problem"];
        };
    };
}
