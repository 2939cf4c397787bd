import { MissingPage } from "@/layout/MissingPage";

export default MissingPage;
