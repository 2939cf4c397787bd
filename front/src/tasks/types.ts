/* Jobs and what is around them, as the API gives them. */
import type { components } from "@tims/client/generated";

type Schemas = components["schemas"];
export type JobStatus = Schemas["JobStatus"];
export type Queue = Schemas["Queue"];
export type Worker = Schemas["Worker"];
export type Job = Schemas["Job"];
export type Schedule = Schemas["Schedule"];
export type DeadJob = Schemas["JobDead"];
